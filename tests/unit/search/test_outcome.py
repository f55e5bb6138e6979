"""Differences between candidates on the items that both have read, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from suture.search.outcome import ahead


def test_candidates_are_compared_on_items_that_both_have_read() -> None:
    own = [np.array([1.0, 3.0]), np.array([0.5])]
    other = [np.array([0.0, 1.0, 100.0]), np.array([1.0, 50.0])]
    assert ahead(own, other, [2.0, -1.0]) == pytest.approx([2.0 * 1.5, 0.5])
