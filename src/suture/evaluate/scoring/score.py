"""Score a file of predictions under the protocol of its task: read, match, refuse what is wrong, then compute."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from suture.errors import Problem
from suture.evaluate.scoring.inputs import Matched, Table, match, name_lines, read_table
from suture.evaluate.scoring.instructions import score_instructions
from suture.evaluate.scoring.protocols import get_protocol
from suture.evaluate.scoring.result import Scored
from suture.evaluate.scoring.texts import TextOptions, plan, score_texts

TEXT = ("prediction",)
Warn = Callable[[str], None]


def score_file(
    task: str, predictions: Path, references: Path, options: TextOptions | None = None, *, warn: Warn = lambda _: None
) -> Scored:
    """Return the scores of `predictions` against `references` (for IFEval and IFBench the prompts).

    warn is told, before anything is computed, which lines have no partner. Raises UsageError (task, metric or composite
    unknown), BadInputError (all that is wrong with both files, by line).
    """
    protocol = get_protocol(task)
    chosen = options or TextOptions()
    texts = protocol.kind == "texts"
    if texts:
        plan(protocol, chosen)
        asked, given = _checked(read_table(references, "id", ("reference",))), read_table(predictions, "id", TEXT)
    else:
        asked = read_table(references, "key", ("prompt",))
        given = _read_responses(predictions, asked)
    matched = match(asked, given)
    warnings = _warnings(matched, predictions, references, texts)
    for warning in warnings:
        warn(warning)
    scored = score_texts(protocol, matched, chosen) if texts else score_instructions(protocol, asked, matched)
    for warning in scored.warnings:
        warn(warning)
    return replace(scored, warnings=(*warnings, *scored.warnings))


def _checked(table: Table) -> Table:
    """Add a problem for every reference without text."""
    empty = [
        Problem("A reference must have text.", "an empty one", f"{table.path}, line {row.line}")
        for row in table.rows
        if not row.fields["reference"].strip()
    ]
    return replace(table, problems=(*table.problems, *empty))


def _read_responses(path: Path, prompts: Table) -> Table:
    """Read {key, response}; a file in the form of IFEval's authors, {prompt, response}, gets its keys by prompt."""
    by_key = read_table(path, "key", ("response",))
    if by_key.rows:
        return by_key
    by_prompt = read_table(path, "prompt", ("response",))
    if not by_prompt.rows:
        return by_key
    keys = {str(row.fields["prompt"]).strip(): row.id for row in prompts.rows}
    rows = tuple(replace(row, id=keys.get(row.id.strip(), f"line {row.line}")) for row in by_prompt.rows)
    return replace(by_prompt, rows=rows)


def _warnings(matched: Matched, predictions: Path, references: Path, texts: bool) -> list[str]:
    found = []
    if matched.missing:
        what = "scored as an empty answer" if texts else "counted as not followed"
        lines = name_lines(matched.missing)
        found.append(f"{len(matched.missing)} without prediction, {what}: {references.name}, {lines}.")
    if matched.extra:
        lines = name_lines(matched.extra)
        found.append(f"{len(matched.extra)} predictions without reference, left out: {predictions.name}, {lines}.")
    return found
