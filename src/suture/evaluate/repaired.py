"""IFEval's verdicts twice: as published and repaired, how far the two numbers part, and on which items.

Repaired is what of the published verdict hangs on no draw: the language that most of ten seeded draws name, all
arguments kept, no letter drawn (docs/scores.md). A repaired score is the same measure read another way and no further
claim, so it stands beside its metric and belongs to no family of tests.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from suture.evaluate.items import ItemRow
from suture.evaluate.verdicts import Verdict
from suture.tasks.ifeval import LEVELS

SUFFIX = "_repaired"
HOW = "repaired: language by most of ten seeded draws, nothing drawn"


@dataclass(frozen=True, slots=True)
class Difference:
    """What the repair changes in one model's items.

    published and repaired map each level's metric to its mean over `n` items, in [0, 1]; items names those of which
    any level differs. instructions counts the verdicts behind them, drawn those of which a draw may change the
    published one; both are 0 where the rows hold no verdicts. accuracy maps inst_level_strict, inst_level_loose and
    their repaired twins to the share of all instructions that pass, in [0, 1]: the field's instruction-level accuracy,
    which weighs a prompt by its instructions where the mean over items does not.
    """

    n: int
    published: Mapping[str, float]
    repaired: Mapping[str, float]
    items: tuple[str, ...]
    instructions: int = 0
    drawn: int = 0
    accuracy: Mapping[str, float] = field(default_factory=dict)


def twin(metric: str) -> str:
    """Return the name of the repaired score of `metric`."""
    return metric + SUFFIX


def is_repaired(metric: str) -> bool:
    """Return whether `metric` is the repaired score of one of IFEval's levels."""
    return metric.removesuffix(SUFFIX) in LEVELS and metric.endswith(SUFFIX)


def scores(verdicts: Sequence[Verdict]) -> dict[str, float]:
    """Return the four repaired levels of one prompt's verdicts, each in [0, 1]."""
    return {twin(name): value for name, value in levels(verdicts, "repaired").items()}


def levels(verdicts: Sequence[Verdict], kind: str) -> dict[str, float]:
    """Return IFEval's four levels of one prompt, each in [0, 1]; kind is "published" or "repaired"."""
    found: dict[str, float] = {}
    for how in ("strict", "loose"):
        passed = [bool(getattr(getattr(verdict, how), kind)) for verdict in verdicts]
        found |= {f"prompt_level_{how}": float(all(passed)), f"inst_level_{how}": sum(passed) / len(passed)}
    return {name: found[name] for name in LEVELS}


def encode(verdicts: Iterable[Verdict], *, both: bool) -> str:
    """Return one prompt's verdicts as the JSON text that its row keeps: an object an instruction, in order.

    With `both` each has the repaired verdicts beside the published ones, and whether a draw may change those.
    """
    return json.dumps([_as_object(verdict, both=both) for verdict in verdicts])


def difference(rows: Iterable[ItemRow]) -> Difference | None:
    """Return what the repair changes in the rows of one model, None where they were not judged both ways."""
    judged = [row for row in rows if all(math.isfinite(row.scores.get(twin(name), math.nan)) for name in LEVELS)]
    if not judged:
        return None
    found = [one for row in judged if row.verdicts for one in json.loads(row.verdicts)]
    return Difference(
        n=len(judged),
        published={name: sum(row.scores[name] for row in judged) / len(judged) for name in LEVELS},
        repaired={name: sum(row.scores[twin(name)] for row in judged) / len(judged) for name in LEVELS},
        items=tuple(
            row.item_id for row in judged if any(row.scores[name] != row.scores[twin(name)] for name in LEVELS)
        ),
        instructions=len(found),
        drawn=sum(bool(one.get("drawn")) for one in found),
        accuracy={
            f"inst_level_{kind}": sum(bool(one[kind]) for one in found) / len(found)
            for kind in ("strict", "loose", f"strict{SUFFIX}", f"loose{SUFFIX}")
            if found
        },
    )


def as_meta(found: Difference) -> dict[str, Any]:
    """Return the difference as meta.json keeps it."""
    both = {name: {"published": found.published[name], "repaired": found.repaired[name]} for name in LEVELS}
    return {
        "scores": both,
        "items": list(found.items),
        "instructions": found.instructions,
        "drawn": found.drawn,
        "share of all instructions": dict(found.accuracy),
    }


def _as_object(verdict: Verdict, *, both: bool) -> dict[str, Any]:
    plain: dict[str, Any] = {
        "instruction": verdict.instruction,
        "strict": verdict.strict.published,
        "loose": verdict.loose.published,
    }
    if both:
        repaired = {"strict_repaired": verdict.strict.repaired, "loose_repaired": verdict.loose.repaired}
        plain |= {**repaired, "drawn": verdict.drawn}
    if verdict.approximate:
        plain["approximate"] = True
    return plain
