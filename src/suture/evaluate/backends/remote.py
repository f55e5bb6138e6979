"""A model that runs elsewhere, seen through token ids: the tokenizer of its folder stays here, so prompts are the same.

`Remote` does what `suture.evaluate.engine.Engine` does with texts, and leaves two things to whoever runs the model:
the log-probabilities of given tokens, and greedy answers to given tokens.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from suture.checkpoint.load import load_tokenizer
from suture.errors import BadInputError, Problem
from suture.evaluate.backend import Advance
from suture.evaluate.engine import Examples, Generation, Likelihood, apply_chat


@dataclass(frozen=True, slots=True)
class Written:
    """One greedy answer: its text without special tokens, how many tokens, whether it ended by itself."""

    text: str
    tokens: int
    finish_reason: Literal["stop", "length"]


class Remote(ABC):
    """A model folder whose weights run elsewhere; `context` is the longest text in tokens."""

    def __init__(self, folder: Path) -> None:
        self.tokenizer: Any = load_tokenizer(folder)
        self.context = _context(folder)

    @abstractmethod
    def log_probs(self, texts: Sequence[Sequence[int]]) -> list[list[float]]:
        """Return log p of every token but the first of each text, given all before it, in nats."""

    @abstractmethod
    def write(self, prompts: Sequence[Sequence[int]], max_new_tokens: int) -> list[Written]:
        """Answer prompts greedily."""

    def chat(self, text: str, examples: Examples = ()) -> str:
        """Return `text` as a user turn in the model's chat template, after pairs (user turn, answer) if any."""
        return apply_chat(self.tokenizer, text, examples)

    def encode(self, text: str, *, special: bool) -> list[int]:
        """Return the token ids of a text, with the special tokens that the tokenizer adds where `special`."""
        start = self.tokenizer.bos_token
        adds = special and not (start and text.startswith(start))
        ids = list(self.tokenizer(text, add_special_tokens=adds)["input_ids"])
        first = self.tokenizer.bos_token_id
        return ids or [self.tokenizer.eos_token_id if first is None else first]

    def generate(
        self,
        prompts: Sequence[str],
        *,
        max_new_tokens: int,
        batch_size: int,
        truncate: bool = False,
        advance: Advance = lambda _: None,
    ) -> list[Generation]:
        """Answer each finished prompt text greedily; see `Engine.generate`."""
        ids = [self.encode(prompt, special=truncate) for prompt in prompts]
        room = max(self.context - max_new_tokens, self.context // 2)
        cut = [len(row) > room for row in ids]
        if any(cut) and not truncate:
            must = f"A prompt and its answer must fit the model's context of {self.context} tokens."
            raise BadInputError(Problem(must, f"{max(map(len, ids)) + max_new_tokens} tokens"))
        limit = min(max_new_tokens, self.context - room)
        found: list[Generation] = []
        for start in range(0, len(ids), batch_size):
            chosen = [row[-room:] for row in ids[start : start + batch_size]]
            began = time.perf_counter()
            written = self.write(chosen, limit)
            seconds = (time.perf_counter() - began) / len(chosen)
            found += [
                Generation(w.text, w.tokens, w.finish_reason, seconds, cut[start + k]) for k, w in enumerate(written)
            ]
            advance(len(chosen))
        return found

    def pairs(
        self, requests: Sequence[tuple[str, Sequence[str]]], *, advance: Advance = lambda _: None
    ) -> list[list[Likelihood]]:
        """Return log p of each continuation after its context; see `Engine.pairs`."""
        asked = []
        for context, continuations in requests:
            bare = context.rstrip()
            spaces = context[len(bare) :]
            prefix = self.encode(bare, special=True)
            ids = [self.encode(bare + spaces + text, special=True)[len(prefix) :] for text in continuations]
            asked.append((prefix[-(self.context + 1 - max(map(len, ids))) :], ids))
        return self._read(asked, advance)

    def loglikelihood(
        self, requests: Sequence[tuple[str, Sequence[str]]], *, advance: Advance = lambda _: None
    ) -> list[list[Likelihood]]:
        """Return log p of each continuation after its prefix, each tokenised alone; see `Engine.loglikelihood`."""
        encoded = [
            (self.encode(prefix, special=False), [self.encode(text, special=False) for text in texts])
            for prefix, texts in requests
        ]
        return self._read(encoded, advance)

    def _read(self, asked: Sequence[tuple[list[int], list[list[int]]]], advance: Advance) -> list[list[Likelihood]]:
        """The options of a question follow one another, so that whoever runs the model keeps their common start."""
        found = []
        for prefix, continuations in asked:
            rows = self.log_probs([prefix + ids for ids in continuations])
            found.append(
                [
                    Likelihood(sum(row[len(prefix) - 1 :]), len(ids))
                    for row, ids in zip(rows, continuations, strict=True)
                ]
            )
            advance(1)
        return found


def _context(folder: Path) -> int:
    from transformers import AutoConfig

    config = AutoConfig.from_pretrained(str(folder), local_files_only=True, trust_remote_code=False)
    return int(getattr(config.get_text_config(), "max_position_embeddings", None) or 2**31)
