"""The A/A row: the same weights evaluated twice, which shows how much the measurement itself moves."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from suture.compare.contrasts import contrast_tables
from suture.compare.pairing import Table, binary_metrics, check_same_items, metrics_of, pair, read_results, weights_of
from suture.compare.verdicts import Contrast
from suture.errors import IncompatibleError, Problem

SAME_RESPONSE = "same_response"


def contrast_replicates(
    first: Path, second: Path, *, against: str, label: str = "A/A", seed: int = 0
) -> tuple[Contrast, ...]:
    """Contrast two result folders of the same weights on every task and metric, verdict "descriptive".

    Of each task with written answers there is one row more, metric "same_response" (1 where the text is the same):
    its forgotten share is the flip rate of the answers. `against` is the label of the model evaluated.
    Raises IncompatibleError where the weights, items or prompts differ.
    """
    one, two = read_results(first), read_results(second)
    if weights_of(one) != weights_of(two):
        must = "An A/A row must compare a model with itself."
        raise IncompatibleError(Problem(must, "two weights digests", f"{first}, {second}"))
    check_same_items({against: one, label: two})
    before = {task: _marked(table, table) for task, table in one.items() if task in two}
    after = {task: _marked(two[task], one[task]) for task in before}
    binary = binary_metrics({against: before, label: after})
    return tuple(
        contrast_tables(
            (label, after[task]), (against, before[task]), task, metric, binary=(task, metric) in binary, seed=seed
        )
        for task in before
        for metric in metrics_of(after[task])
        if pair(after[task], before[task], metric).items
    )


def _marked(table: Table, reference: Table) -> Table:
    """Add the score `same_response` to each row of a task with written answers."""
    if not any(row.response for row in reference.values()):
        return table
    same = {item: float(row.response == reference[item].response) for item, row in table.items()}
    return {item: replace(row, scores={**row.scores, SAME_RESPONSE: same[item]}) for item, row in table.items()}
