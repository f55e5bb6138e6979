"""What the repair of IFEval's verdicts changes in a comparison: prompts that differ, verdicts that turn; sentences."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

from suture.compare.axes import orientation
from suture.compare.contrasts import judge
from suture.compare.pairing import Table, tasks_of
from suture.compare.verdicts import Contrast
from suture.evaluate.repaired import difference, twin


def repair_notes(tables: Mapping[str, Mapping[str, Table]], contrasts: Sequence[Contrast]) -> Iterator[str]:
    """Yield a sentence for each task judged both ways, and one for each verdict that the repaired scores would turn."""
    for task in tasks_of(tables):
        asked = [label for label, found in tables.items() if task in found]
        judged = {label: found for label in asked if (found := difference(tables[label][task].values()))}
        if not judged:
            continue
        n = max(found.n for found in judged.values())
        counts = ", ".join(f"{label} {len(found.items)}" for label, found in judged.items() if found.items)
        if counts:
            yield f"{task}: published and repaired verdicts differ on some of {n} prompts ({counts})."
        else:
            who = "every model" if len(judged) == len(asked) else ", ".join(judged)
            yield f"{task}: published and repaired verdicts agree on all {n} prompts of {who}."
    yield from _turned(contrasts)


def _turned(contrasts: Sequence[Contrast]) -> Iterator[str]:
    held = {(row.model, row.against, row.task, row.metric): row for row in contrasts}
    for row in contrasts:
        other = held.get((row.model, row.against, row.task, twin(row.metric)))
        if other is None or math.isnan(row.margin) or row.verdict == "no headroom":
            continue
        repaired = judge(other.interval, row.margin, orientation(row.metric))
        if repaired != row.verdict:
            yield (
                f"{row.task} {row.metric}, {row.model} against {row.against}: {row.verdict} as published, "
                f"{repaired} by the repaired verdicts."
            )
