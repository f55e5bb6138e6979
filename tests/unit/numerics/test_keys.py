from __future__ import annotations

import numpy as np
import pytest

from suture.numerics.keys import keep_threshold, model_keys, random_key


def test_key_is_fixed_for_ever() -> None:
    # first 8 bytes, little endian, of BLAKE3('[0,"model.embed_tokens.weight",0]')
    assert random_key(0, "model.embed_tokens.weight", 0) == np.uint64(0xF7A7B444D35D8AEF)


def test_keys_tell_seed_tensor_and_stream_apart() -> None:
    keys = {random_key(*parts) for parts in [(0, "a", 0), (1, "a", 0), (0, "b", 0), (0, "a", 1), (0, "a", "0")]}
    assert len(keys) == 5


def test_model_keys_number_the_models() -> None:
    assert model_keys(7, "a", 2) == (random_key(7, "a", 0), random_key(7, "a", 1))


@pytest.mark.parametrize(("probability", "bound"), [(1.0, 2**32), (0.5, 2**31), (0.0, 0)])
def test_keep_threshold(probability: float, bound: int) -> None:
    assert keep_threshold(probability) == np.uint64(bound)
