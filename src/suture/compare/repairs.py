"""What the repair of IFEval's verdicts changes in a comparison: prompts that differ, verdicts that turn; sentences."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

from suture.compare.axes import orientation
from suture.compare.contrasts import judge
from suture.compare.pairing import Table
from suture.compare.verdicts import Contrast
from suture.evaluate.repaired import difference, twin


def repair_notes(tables: Mapping[str, Mapping[str, Table]], contrasts: Sequence[Contrast]) -> Iterator[str]:
    """Yield a sentence for each task judged both ways, and one for each verdict that the repaired scores would turn."""
    by_task: dict[str, list[str]] = {}
    sizes: dict[str, int] = {}
    for label, found in tables.items():
        for task, table in found.items():
            if changed := difference(table.values()):
                sizes[task] = changed.n
                if changed.items:
                    by_task.setdefault(task, []).append(f"{label} {len(changed.items)}")
    for task, n in sizes.items():
        if task in by_task:
            counts = ", ".join(by_task[task])
            yield f"{task}: published and repaired verdicts differ on some of {n} prompts ({counts})."
        else:
            yield f"{task}: published and repaired verdicts agree on all {n} prompts of every model."
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
