"""What a task is: how an item becomes a prompt, what is measured on the answer, and which protocol fixes that."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Axis = Literal["instruction", "medical", "clinical", "general", "probe"]
Kind = Literal["ifeval", "contrast", "choice", "generation", "likelihood", "drift", "harness", "canary"]


@dataclass(frozen=True, slots=True)
class Task:
    """One task, as data; it is part of the key under which results are kept.

    instruction: text with `{input}` for the item's text, given as one user turn in the model's chat template; empty
    where the item's own text is the turn or, for likelihood, where raw text is read without a template. metrics: names
    of the score columns; primary: the one that carries verdicts. binary: primary is 0/1 an item. max_new_tokens: the
    answer's limit (0 where nothing is generated). protocol: what is done, in words; source: where it comes from.
    dataset and section: the data set (`suture.data.catalog`) and the part of it that a task of a suite is asked on.
    """

    name: str
    axis: Axis
    kind: Kind
    instruction: str
    metrics: tuple[str, ...]
    primary: str
    binary: bool
    max_new_tokens: int
    protocol: str
    source: str
    dataset: str = ""
    section: str = ""

    def user_text(self, text: str) -> str:
        """Return the user turn for an item whose text is `text`."""
        return self.instruction.replace("{input}", text) if self.instruction else text
