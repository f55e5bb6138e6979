"""What answers: the interface that tasks use, whoever runs the model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from suture.evaluate.engine import Examples, Generation, Likelihood

Advance = Callable[[int], None]


class Answerer(Protocol):
    """A model that answers; `suture.evaluate.engine.Engine` is the one in this process.

    context is the longest text in tokens, prompt and answer together.
    """

    tokenizer: Any
    context: int

    def chat(self, text: str, examples: Examples = ()) -> str:
        """Return `text` as a user turn in the model's chat template, after pairs (user turn, answer) if any."""

    def generate(
        self,
        prompts: Sequence[str],
        *,
        max_new_tokens: int,
        batch_size: int,
        truncate: bool = ...,
        advance: Advance = ...,
    ) -> list[Generation]:
        """Answer each finished prompt text greedily."""

    def pairs(self, requests: Sequence[tuple[str, Sequence[str]]], *, advance: Advance = ...) -> list[list[Likelihood]]:
        """Return log p of each continuation after its context, tokenised as lm-evaluation-harness does."""

    def loglikelihood(
        self, requests: Sequence[tuple[str, Sequence[str]]], *, advance: Advance = ...
    ) -> list[list[Likelihood]]:
        """Return log p of each continuation after its prefix, each tokenised alone."""
