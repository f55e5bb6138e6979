"""Scores of texts against references: ROUGE, BLEU, METEOR, BERTScore, plug-ins, and composites of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from suture.errors import MissingExtraError, Problem, UsageError, refuse
from suture.evaluate.metrics import bertscore, bleu, meteor, plugins, rouge
from suture.evaluate.scoring import divisions
from suture.evaluate.scoring.composites import Composite, choose, load_composites
from suture.evaluate.scoring.inputs import Matched
from suture.evaluate.scoring.protocols import CHARACTERS, TEXT_METRICS, Protocol
from suture.evaluate.scoring.result import Score, Scored
from suture.events import track
from suture.strict_yaml import nearest

Texts = Sequence[str]
Column = tuple[list[float], str]


@dataclass(frozen=True, slots=True)
class TextOptions:
    """What is asked for beside a task's own metrics."""

    encoder: bertscore.Encoder | None = None
    metrics: tuple[str, ...] = ()
    composites: tuple[str, ...] = ()
    composite_file: Path | None = None


@dataclass(frozen=True, slots=True)
class Wanted:
    """The metrics to be computed, in the order of the output, and the composites."""

    metrics: tuple[str, ...]
    composites: tuple[Composite, ...]


def plan(protocol: Protocol, options: TextOptions) -> Wanted:
    """Return what will be computed; raises UsageError for an unknown metric or composite."""
    known = (*TEXT_METRICS, CHARACTERS, *plugins.names())
    refuse(
        UsageError,
        [
            Problem("A metric must be known.", f"'{name}'", do=nearest(name, known))
            for name in options.metrics
            if name not in known
        ],
    )
    chosen = choose(options.composites, load_composites(options.composite_file), known)
    needed = [metric for composite in chosen for metric in composite.metrics]
    return Wanted(tuple(dict.fromkeys([*protocol.metrics, *options.metrics, *needed])), tuple(chosen))


def score_texts(protocol: Protocol, matched: Matched, options: TextOptions) -> Scored:
    """Return the scores of matched predictions ({id, prediction}) and references ({id, reference})."""
    wanted = plan(protocol, options)
    references = [str(reference.fields["reference"]) for reference, _ in matched.pairs]
    responses = [str(found.fields["prediction"]) if found else "" for _, found in matched.pairs]
    about: dict[str, Any] = {}
    if protocol.division:
        references, responses, about = _divided(references, responses, protocol.division)
        # Two texts that lack a division agree fully; an answer that is not there agrees with nothing.
        responses = [text if found else "" for text, (_, found) in zip(responses, matched.pairs, strict=True)]
    raw = _columns(wanted, responses, references, options)
    columns = {name: _rounded(column, protocol.decimals) for name, column in raw.items()}
    scores = {name: Score(_mean(values), signature) for name, (values, signature) in columns.items()}
    values = {name: score.value for name, score in scores.items()}
    for composite in wanted.composites:
        scores[composite.name] = Score(composite.value(values), _explain(composite, values))
    items = [
        {"id": reference.fields["id"], "missing": found is None, **{name: columns[name][0][i] for name in columns}}
        for i, (reference, found) in enumerate(matched.pairs)
    ]
    return Scored(protocol, len(items), len(matched.missing), len(matched.extra), scores, items, about=about)


def _divided(references: Texts, responses: Texts, division: str) -> tuple[list[str], list[str], dict[str, Any]]:
    """Return both sides as the division that is compared, and how many have it."""
    whole = divisions.are_notes(references)
    if whole:
        cut = [divisions.prepare(side, division) for side in (references, responses)]
    else:
        cut = [divisions.written([text or None for text in side]) for side in (references, responses)]
    lacking = ("", divisions.EMPTY)
    about = {
        "input": "whole notes, cut by headings" if whole else "texts of the division, taken as they are",
        "references_with_division": sum(text not in lacking for text in cut[0]),
        "predictions_with_division": sum(text not in lacking for text in cut[1]),
        "in_neither": sum(a in lacking and b in lacking for a, b in zip(*cut, strict=True)),
    }
    return cut[0], cut[1], about


def _columns(wanted: Wanted, responses: Texts, references: Texts, options: TextOptions) -> dict[str, Column]:
    """Return each metric's value for each item (NaN where it cannot be had) and its signature."""
    columns = _rouge(responses, references)
    for name in wanted.metrics:
        if name in columns:
            continue
        try:
            columns[name] = compute(name, responses, references, options)
        except MissingExtraError as error:
            reason = "; ".join(f"{problem.must} {problem.do}".strip() for problem in error.problems)
            columns[name] = [math.nan] * len(references), f"not computed: {reason}"
    return {name: columns[name] for name in wanted.metrics}


def _rounded(column: Column, decimals: int | None) -> Column:
    values, signature = column
    if decimals is None or all(math.isnan(value) for value in values):
        return column
    return [round(value, decimals) for value in values], f"{signature}, each item rounded to {decimals} decimals"


def compute(name: str, responses: Texts, references: Texts, options: TextOptions) -> Column:
    """Return one metric's value for each pair, in [0, 100], and its signature; NaN with the reason where it is absent.

    ROUGE, which comes in fours, is not among them. Raises UsageError for a plug-in that miscounts.
    """
    if name == "bleu":
        values = _each("bleu", responses, references, lambda a, b: bleu.score(a, b, plain=True))
        return values, f"{bleu.signature(plain=True)}, mean over items"
    if name == CHARACTERS:
        return _each(name, responses, references, _characters), f"nltk {version('nltk')} sentence_bleu over characters"
    if name == "meteor":
        return _each("meteor", responses, references, meteor.score), meteor.signature()
    if name == "bertscore_f1":
        if options.encoder is None:
            return [math.nan] * len(references), f"not computed: {bertscore.ABSENT}"
        with track(name, len(references), "item") as advance:
            values = bertscore.scores(responses, references, options.encoder)
            advance(len(references))
        return values, bertscore.signature(options.encoder)
    plugin = plugins.find(name)
    if plugin is None:
        return [math.nan] * len(references), f"not computed: {plugins.absent(name)}"
    values = [float(value) for value in plugin.scores(list(responses), list(references))]
    if len(values) != len(references):
        must = f"A metric must give one value an item, here {len(references)}."
        raise UsageError(Problem(must, str(len(values)), f"the plug-in '{name}'"))
    return values, plugin.signature()


def _rouge(responses: Texts, references: Texts) -> dict[str, Column]:
    found: dict[str, list[float]] = {name: [] for name in rouge.NAMES}
    with track("rouge", len(references), "item") as advance:
        for response, reference in zip(responses, references, strict=True):
            for name, value in rouge.scores(response, reference, "lines").items():
                found[name].append(value)
            advance(1)
    return {name: (values, rouge.signature("lines")) for name, values in found.items()}


def _each(name: str, responses: Texts, references: Texts, score: Callable[[str, str], float]) -> list[float]:
    found = []
    with track(name, len(references), "item") as advance:
        for response, reference in zip(responses, references, strict=True):
            found.append(score(response, reference))
            advance(1)
    return found


def _characters(response: str, reference: str) -> float:
    import warnings

    from nltk.translate.bleu_score import sentence_bleu

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that a short text has no common 4-gram
        return 100.0 * float(sentence_bleu([reference], response))


def _explain(composite: Composite, values: dict[str, float]) -> str:
    lacking = [metric for metric in composite.metrics if not math.isfinite(values.get(metric, math.nan))]
    why = f"; not computed: no {', '.join(lacking)}" if lacking else ""
    return f"{composite.formula()}, {composite.source}{why}"


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values) if values else math.nan
