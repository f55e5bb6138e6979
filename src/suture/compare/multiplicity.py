"""Many p-values: Holm within the declared primary family, Benjamini-Hochberg within each other one.

- "primary": models against a parent on a primary metric. Holm (1979) bounds the chance of one false claim in it.
- "secondary": models against a parent on any other metric. Benjamini and Hochberg (1995) bound the expected share of
  false claims among those made.
- "parents": one parent against another. They describe the pair before any merge, so they neither use up nor get the
  protection of the primary family; Benjamini-Hochberg as well. Each pair stands there in both directions, with one
  p-value, which does not change the adjusted values.

The claims of non-inferiority are a family of their own, one for each stated margin, model and parent, with Holm's
correction: a verdict "kept" is made at one-sided 2.5 % each, and the adjusted p-value says whether all hold together.

A distance (`kl_to_...`) belongs to no family: that a merge differs from its parent needs no test. Nor does a repaired
score of IFEval: it reads the same verdicts another way, to show what hangs on the published code's draws.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import replace

import numpy as np

from suture.compare.verdicts import Contrast, Family
from suture.evaluate.repaired import is_repaired

DISTANCE = "kl_to_"


def holm(p_values: Sequence[float]) -> list[float]:
    """Return Holm's step-down adjusted p-values, in the order given; each p in [0, 1]."""
    p = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(p, kind="stable")
    stepped = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)).clip(max=1.0)
    adjusted = np.empty_like(p)
    adjusted[order] = stepped
    return [float(value) for value in adjusted]


def benjamini_hochberg(p_values: Sequence[float]) -> list[float]:
    """Return Benjamini and Hochberg's adjusted p-values, in the order given; each p in [0, 1]."""
    from scipy import stats

    if not len(p_values):
        return []
    return [float(value) for value in stats.false_discovery_control(p_values, method="bh")]


def adjust(
    contrasts: Sequence[Contrast], *, parents: Collection[str], primary: Collection[tuple[str, str]]
) -> tuple[Contrast, ...]:
    """Return the contrasts with families and adjusted p-values filled in; primary holds (task, metric) pairs."""
    found = [replace(row, family=_family(row, parents, primary)) for row in contrasts]
    for family, correction, run in (
        ("primary", "Holm", holm),
        ("secondary", "Benjamini-Hochberg", benjamini_hochberg),
        ("parents", "Benjamini-Hochberg", benjamini_hochberg),
    ):
        places = [index for index, row in enumerate(found) if row.family == family]
        for index, value in zip(places, run([found[index].p_value for index in places]), strict=True):
            found[index] = replace(found[index], p_adjusted=value, correction=correction)
    stated = [i for i, row in enumerate(found) if row.model not in parents and not math.isnan(row.noninferiority_p)]
    for index, value in zip(stated, holm([found[i].noninferiority_p for i in stated]), strict=True):
        found[index] = replace(found[index], noninferiority_p_adjusted=value)
    return tuple(found)


def _family(row: Contrast, parents: Collection[str], primary: Collection[tuple[str, str]]) -> Family:
    if row.metric.startswith(DISTANCE) or is_repaired(row.metric):
        return "none"
    if row.model in parents:
        return "parents"
    return "primary" if (row.task, row.metric) in primary else "secondary"
