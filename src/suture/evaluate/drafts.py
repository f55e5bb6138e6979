"""Drafts of a greedy answer, looked up in its own text: what followed the last time the same few tokens stood there.

A draft is only proposed; the model reads it and keeps what it would have written (Leviathan et al. 2023, Fast Inference
from Transformers via Speculative Decoding, section 2, at temperature 0; the look-up in place of a draft model is
Saxena 2023, prompt lookup decoding). Answers that repeat themselves, or their prompt, are then read, not written.
"""

from __future__ import annotations

from collections.abc import Sequence

GRAM = 3  # tokens that must have stood there before
LONGEST = 32  # tokens of a draft


class Draft:
    """The text of one row, prompt and answer, and what may follow it."""

    def __init__(self, prompt: Sequence[int]) -> None:
        self.ids: list[int] = []
        self._after: dict[tuple[int, ...], int] = {}  # the last tokens -> where the text went on, the last time
        self._trust = 1  # tokens that are worth proposing: doubles with each draft that is right
        for token in prompt:
            self._append(token)

    def propose(self, most: int) -> list[int]:
        """Return at most `most` tokens that may come next; none where the last few never stood there before.

        What would go on beyond the end of the text goes round: a text that has begun to repeat is taken to go on so.
        """
        begin = self._after.get(tuple(self.ids[-GRAM:])) if len(self.ids) >= GRAM else None
        if begin is None:
            return []
        period = len(self.ids) - begin
        return [self.ids[begin + k % period] for k in range(min(most, self._trust))]

    def extend(self, tokens: Sequence[int], proposed: int) -> None:
        """Append what was written: of a draft of `proposed` tokens those that were right, and the next one."""
        if proposed:
            right = len(tokens) - 1
            self._trust = min(LONGEST, 2 * self._trust) if right >= proposed else max(1, right)
        for token in tokens:
            self._append(token)

    def _append(self, token: int) -> None:
        if len(self.ids) >= GRAM:
            self._after[tuple(self.ids[-GRAM:])] = len(self.ids)
        self.ids.append(token)
