"""Scores of answers to verifiable instructions: IFEval and IFBench, as published and repaired."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from typing import Any

from suture.errors import BadInputError, Problem, refuse
from suture.evaluate import ifbench, ifeval_rules
from suture.evaluate.languages import Languages
from suture.evaluate.prompts import MUST, fault, parse
from suture.evaluate.repaired import HOW, twin
from suture.evaluate.scoring.inputs import Matched, Row, Table, name_lines
from suture.evaluate.scoring.protocols import INSTRUCTION_METRICS, Protocol
from suture.evaluate.scoring.result import Score, Scored
from suture.evaluate.verdicts import Instructions, Judged, Verdict, Verifiers, failed, judge
from suture.events import track

Pick = Callable[[Judged], bool]


def score_instructions(protocol: Protocol, prompts: Table, matched: Matched) -> Scored:
    """Return the scores of matched responses ({key, response}) and prompts; raises BadInputError for bad prompts."""
    rules = ifbench if protocol.kind == "ifbench" else ifeval_rules
    verifiers = rules.verifiers()
    languages = Languages()
    verdicts: list[tuple[Verdict, ...]] = []
    with ExitStack() as stack:
        if protocol.kind == "ifbench":
            stack.enter_context(ifbench.offline())
        stack.enter_context(languages.listening())
        items = _read_instructions(prompts, matched, verifiers)
        advance = stack.enter_context(track(protocol.task, len(items), "prompt"))
        for item, (_, found) in zip(items, matched.pairs, strict=True):
            answer = str(found.fields["response"]) if found else None
            verdicts.append(failed(item) if answer is None else judge(item, answer, verifiers, languages))
            advance(1)
    scores = _scores(verdicts, rules.signature(), protocol)
    rows = [_row(item, found, pair) for item, found, pair in zip(items, verdicts, matched.pairs, strict=True)]
    about = {
        "instructions": sum(len(found) for found in verdicts),
        "drawn": sum(verdict.drawn for found in verdicts for verdict in found),
        "approximate": sum(verdict.approximate for found in verdicts for verdict in found),
    }
    missing, extra = len(matched.missing), len(matched.extra)
    return Scored(protocol, len(items), missing, extra, scores, rows, _other_prompts(matched), about)


def _read_instructions(prompts: Table, matched: Matched, verifiers: Verifiers) -> list[Instructions]:
    """Build every verifier once, so that what is wrong with the prompts is named before any answer is judged."""
    items: list[Instructions] = []
    problems: list[Problem] = []
    for row, _ in matched.pairs:
        item = parse(row.id, row.fields)
        if got := fault(item, verifiers):
            problems.append(Problem(MUST, got, f"{prompts.path}, line {row.line}"))
        elif item is not None:
            items.append(item)
    refuse(BadInputError, problems)
    return items


def _other_prompts(matched: Matched) -> tuple[str, ...]:
    """Name the answers that carry a prompt of their own which is not the one of their key (2785 has two in use)."""
    lines = [found.line for row, found in matched.pairs if found and _text(found) not in ("", _text(row))]
    return (f"The prompt beside the response differs from the prompts file: {name_lines(lines)}.",) if lines else ()


def _text(row: Row) -> str:
    return str(row.fields.get("prompt") or "").strip()


def _scores(verdicts: Sequence[Sequence[Verdict]], signature: str, protocol: Protocol) -> dict[str, Score]:
    scores: dict[str, Score] = {}
    for name in INSTRUCTION_METRICS:
        low, high = (_level(name, verdicts, pick) for pick in (_least, _greatest))
        scores[name] = Score(_level(name, verdicts, _published), signature, (low, high))
    if protocol.kind == "ifeval":
        how = f"{signature}; {HOW}"
        for name in INSTRUCTION_METRICS:
            scores[twin(name)] = Score(_level(name, verdicts, _repaired), how)
    return scores


def _level(name: str, verdicts: Sequence[Sequence[Verdict]], pick: Pick) -> float:
    """Return the share of prompts (all instructions followed) or of instructions, in per cent."""
    passed = [[pick(v.strict if name.endswith("strict") else v.loose) for v in found] for found in verdicts]
    if name.startswith("prompt"):
        return 100.0 * sum(map(all, passed)) / len(passed)
    return 100.0 * sum(map(sum, passed)) / sum(map(len, passed))


def _row(item: Instructions, found: Sequence[Verdict], pair: tuple[Row, Row | None]) -> Mapping[str, Any]:
    row: dict[str, Any] = {
        "key": pair[0].fields["key"],
        "missing": pair[1] is None,
        "instruction_id_list": list(item.ids),
        "strict": [verdict.strict.published for verdict in found],
        "loose": [verdict.loose.published for verdict in found],
        "strict_repaired": [verdict.strict.repaired for verdict in found],
        "loose_repaired": [verdict.loose.repaired for verdict in found],
        "drawn": [verdict.drawn for verdict in found],
    }
    if any(verdict.approximate for verdict in found):
        row["approximate"] = [verdict.approximate for verdict in found]
    return row


def _published(judged: Judged) -> bool:
    return judged.published


def _repaired(judged: Judged) -> bool:
    return judged.repaired


def _least(judged: Judged) -> bool:
    return judged.least


def _greatest(judged: Judged) -> bool:
    return judged.greatest
