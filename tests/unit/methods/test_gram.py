from __future__ import annotations

import numpy as np
import pytest

from suture.methods.gram import Gram

VECTORS = np.array([[1.0, 2.0, 2.0], [4.0, 6.0, 2.0], [0.0, 0.0, 1.0]])


@pytest.mark.parametrize("anchor", [0, 1, 2])
def test_accessors_speak_of_raw_vectors_and_differences(anchor: int) -> None:
    kept = VECTORS - VECTORS[anchor]
    kept[anchor] = VECTORS[anchor]
    gram = Gram(kept @ kept.T, anchor)
    for i in range(3):
        assert gram.norm(i) == pytest.approx(np.linalg.norm(VECTORS[i]))
        assert gram.delta_norm(i) == pytest.approx(np.linalg.norm(VECTORS[i] - VECTORS[anchor]))
        for j in range(3):
            assert gram.dot(i, j) == pytest.approx(VECTORS[i] @ VECTORS[j])
            assert gram.delta_dot(i, j) == pytest.approx(
                (VECTORS[i] - VECTORS[anchor]) @ (VECTORS[j] - VECTORS[anchor])
            )


def test_a_norm_is_never_imaginary() -> None:
    assert Gram(np.array([[1.0, -1.0], [-1.0, 1.0 - 1e-16]]), 0).norm(1) == 0.0
