"""The packed rows by hand: who stands where, and who sees whom."""

from __future__ import annotations

from types import SimpleNamespace

import torch

from suture.evaluate.packing import Request, pack

MODEL = SimpleNamespace(dtype=torch.float32, device="cpu")


def seen(mask: torch.Tensor, row: int) -> list[str]:
    return ["".join("x" if value == 0 else "." for value in line) for line in mask[row, 0].tolist()]


def test_two_rows_by_hand() -> None:
    requests = [Request([1, 2, 3], [[4, 5], [6, 7, 8]]), Request([1, 9], [[10]])]
    ids, mask, positions, keep = pack(requests, 1, MODEL)  # the first token is in the cache
    assert ids.tolist() == [[2, 3, 4, 6, 7], [0, 9, 0, 0, 0]]
    assert positions.tolist() == [[1, 2, 3, 3, 4], [0, 1, 0, 0, 0]]
    assert keep == 4
    assert seen(mask, 0) == [
        "xx....",  # 2 sees the cached 1 and itself
        "xxx...",
        "xxxx..",  # 4 sees the prompt
        "xxx.x.",  # 6 sees the prompt, not 4
        "xxx.xx",
    ]
    assert seen(mask, 1)[1] == "x.x..."  # 9 sees the cached 1 and itself, no padding
    assert seen(mask, 1)[0] == ".x...."  # padding sees itself


def test_lengths_and_spans() -> None:
    request = Request([1, 2, 3], [[4, 5], [6, 7, 8]])
    assert request.length == 3 + 1 + 2
    assert request.context == 6
    assert list(request.spans()) == [(0, 1), (1, 3)]
