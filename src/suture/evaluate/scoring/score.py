"""Score a file of predictions under the protocol of its task: read, match, refuse what is wrong, then compute."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from suture.errors import Problem
from suture.evaluate.scoring.inputs import Matched, Table, match, name_lines, read_table
from suture.evaluate.scoring.instructions import score_instructions
from suture.evaluate.scoring.protocols import get_protocol
from suture.evaluate.scoring.result import Scored
from suture.evaluate.scoring.texts import TextOptions, plan, score_texts


def score_file(task: str, predictions: Path, references: Path, options: TextOptions | None = None) -> Scored:
    """Return the scores of `predictions` against `references` (for IFEval and IFBench the prompts).

    Raises UsageError (task, metric or composite unknown), BadInputError (all that is wrong with both files, by line).
    """
    protocol = get_protocol(task)
    chosen = options or TextOptions()
    if protocol.kind == "texts":
        plan(protocol, chosen)
        matched = match(_checked(read_table(references, "id", ("reference",))), read_table(predictions, "id", TEXT))
        return _warn(score_texts(protocol, matched, chosen), matched, predictions, references)
    prompts = read_table(references, "key", ("prompt",))
    matched = match(prompts, _read_responses(predictions, prompts))
    return _warn(score_instructions(protocol, prompts, matched), matched, predictions, references)


TEXT = ("prediction",)


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


def _warn(scored: Scored, matched: Matched, predictions: Path, references: Path) -> Scored:
    warnings = list(scored.warnings)
    if matched.missing:
        lines = name_lines(matched.missing)
        what = "counted as not followed" if scored.protocol.kind != "texts" else "scored as an empty answer"
        warnings.append(f"{len(matched.missing)} without prediction, {what}: {references.name}, {lines}.")
    if matched.extra:
        lines = name_lines(matched.extra)
        warnings.append(f"{len(matched.extra)} predictions without reference, left out: {predictions.name}, {lines}.")
    return replace(scored, warnings=tuple(warnings))
