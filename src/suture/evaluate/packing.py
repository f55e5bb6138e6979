"""One row a prompt: all its continuations beside one another, each of which sees the prompt and itself only.

So a prompt and its continuations are read in one pass, and nothing is read twice. Prompts are padded on the left, so
that they end in one column, continuations on the right:

    . . the prompt | continuation 1 | continuation 2 | . .
    the prompt too | continuation 1 | continuation 2 | continuation 3
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, slots=True)
class Request:
    """A prompt and the continuations to be read after it, as token ids; none of them empty."""

    prefix: Sequence[int]
    continuations: Sequence[Sequence[int]]

    @property
    def length(self) -> int:
        """How many tokens are run: the last one of each continuation is only predicted."""
        return len(self.prefix) + sum(len(ids) - 1 for ids in self.continuations)

    @property
    def context(self) -> int:
        """How many tokens the longest continuation ends at."""
        return len(self.prefix) + max(map(len, self.continuations))

    def spans(self) -> Iterator[tuple[int, int]]:
        """Yield where each continuation stands, counted from the end of the prompt, without its last token."""
        begin = 0
        for ids in self.continuations:
            yield begin, begin + len(ids) - 1
            begin += len(ids) - 1


def pack(requests: Sequence[Request], start: int, like: Any) -> tuple[Tensor, Tensor, Tensor, int]:
    """Return (ids, mask, positions, keep) of requests whose first `start` tokens are in the cache already.

    ids and positions are [rows, width]; mask is additive, [rows, 1, width, start + width], in the dtype of the model
    `like`; the last `keep` columns hold the prompts' last tokens and everything after them.
    """
    import torch

    prompt = max(len(request.prefix) for request in requests) - start
    width = prompt + max(request.length - len(request.prefix) for request in requests)
    ids = torch.zeros(len(requests), width, dtype=torch.long)
    positions = torch.zeros_like(ids)
    sees = torch.zeros(len(requests), width, start + width, dtype=torch.bool)
    sees[:, :, start:] = torch.eye(width, dtype=torch.bool)  # padding sees itself: it must stay a number
    for row, request in enumerate(requests):
        length = len(request.prefix)
        first = prompt - (length - start)
        ids[row, first:prompt] = torch.tensor(request.prefix[start:])
        positions[row, first:prompt] = torch.arange(start, length)
        sees[row, first:, :start] = True
        own = sees[row, :, start:]
        own[first:prompt, first:prompt] = _lower(prompt - first)
        for continuation, (begin, end) in zip(request.continuations, request.spans(), strict=True):
            here = slice(prompt + begin, prompt + end)
            ids[row, here] = torch.tensor(continuation[:-1], dtype=torch.long)
            positions[row, here] = torch.arange(length, length + end - begin)
            own[here, first:prompt] = True
            own[here, here] = _lower(end - begin)
    mask = torch.zeros(sees.shape, dtype=like.dtype).masked_fill(~sees, torch.finfo(like.dtype).min)
    return ids.to(like.device), mask[:, None].to(like.device), positions.to(like.device), width - prompt + 1


def _lower(size: int) -> Tensor:
    import torch

    return torch.ones(size, size, dtype=torch.bool).tril()
