"""A cache with room holds what one that concatenates holds, and writes into nobody else's."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import DynamicCache

from suture.evaluate import roomy


@given(
    start=st.integers(1, 5),
    steps=st.lists(st.one_of(st.integers(1, 200), st.just("select")), min_size=1, max_size=8),
)
def test_it_holds_what_a_concatenating_cache_holds(start: int, steps: list[int | str]) -> None:
    torch.manual_seed(0)
    first = torch.randn(3, 2, start, 4)
    plain, wide = DynamicCache(), DynamicCache()
    for cache in (plain, wide):
        cache.update(first.clone(), -first, 0)
    wide = roomy.with_room(wide)
    for step in steps:
        if step == "select":
            rows = torch.tensor([len(plain.layers[0].keys) - 1, 0])
            for cache in (plain, wide):
                cache.batch_select_indices(rows)
            continue
        new = torch.randn(len(plain.layers[0].keys), 2, int(step), 4)
        for ours, theirs in zip(wide.update(new, -new, 0), plain.update(new, -new, 0), strict=True):
            assert torch.equal(ours, theirs)
        assert wide.get_seq_length() == plain.get_seq_length()


def test_a_cache_that_shares_its_tensors_stays_as_it_was() -> None:
    keys = torch.zeros(1, 1, 2, 4)
    cache = DynamicCache()
    cache.update(keys, keys.clone(), 0)
    held = cache.layers[0].keys
    wide = roomy.with_room(cache)
    wide.update(torch.ones(1, 1, 1, 4), torch.ones(1, 1, 1, 4), 0)
    assert held.shape[2] == 2
    assert not held.any()
    assert isinstance(wide.layers[0], roomy.roomy_layer())
