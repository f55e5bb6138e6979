"""A made-up report of realistic shape: nine models, four judged measures, side metrics, answers with facts."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import replace
from math import nan, sqrt
from pathlib import Path
from statistics import fmean, stdev

import pytest

from suture.compare.contrasts import judge
from suture.compare.gate import check_gate
from suture.compare.power import plan_margins
from suture.compare.verdicts import Axis, Comparison, Contrast, Interval, Margin, Score
from suture.report.data import AnswerSet, FactMark, ModelCard, PathPoint, Provenance, RealisedRow, ReportData

TASK_AXES = {
    "ifeval": "instruction",
    "contrast": "instruction",
    "clinic_mcq": "medical",
    "clinic_likelihood": "clinical",
    "clinic_summary": "clinical",
    "drift": "probe",
}
# (task, metric): n, spread of an item, 0/1?, means by model in the order of LABELS
LABELS = (
    "ancestor", "general", "linear 0.25", "linear 0.5", "linear 0.75", "clinical", "task arithmetic",
    "general, 16 shots", "linear 0.5, 16 shots",
)  # fmt: skip
MEASURES: dict[tuple[str, str], tuple[int, float, bool, tuple[float, ...]]] = {
    ("contrast", "contrast"): (210, 8.5, False, (5.2, 11.5, 9.8, 8.6, 7.0, 5.1, 9.7, 11.1, 8.3)),
    ("contrast", "contrast_sign"): (210, 0.0, True, (0.71, 0.93, 0.90, 0.86, 0.80, 0.70, 0.89, 0.92, 0.85)),
    ("ifeval", "prompt_level_strict"): (32, 0.0, True, (0.14, 0.22, 0.19, 0.16, 0.12, 0.06, 0.12, 0.22, 0.16)),
    ("clinic_mcq", "accuracy"): (96, 0.0, True, (0.33, 0.34, 0.38, 0.41, 0.42, 0.40, 0.38, 0.35, 0.42)),
    ("clinic_likelihood", "log_likelihood"): (
        40, 0.35, False, (-3.9, -3.99, -3.49, -3.01, -2.99, -2.97, -3.02, -3.6, -3.0)
    ),
    ("clinic_summary", "fact_recall"): (24, 0.22, False, (0.21, 0.20, 0.31, 0.38, 0.44, 0.41, 0.36, 0.42, 0.55)),
    ("clinic_summary", "fact_fabrication"): (24, 0.5, False, (0.8, 0.7, 0.9, 1.1, 1.4, 1.7, 1.3, 0.6, 0.5)),
    ("clinic_summary", "rougeL"): (24, 7.0, False, (14.1, 13.8, 17.9, 21.2, 22.6, 22.0, 20.1, 28.4, 33.0)),
    ("clinic_summary", "words"): (24, 20.0, False, (88, 67, 105, 121, 132, 147, 140, 41, 38)),
    ("drift", "kl_to_general"): (24, 0.04, False, (0.324, 0.0, 0.09, 0.16, 0.26, 0.41, 0.37, 0.06, 0.19)),
    ("drift", "kl_to_clinical"): (24, 0.04, False, (0.288, 0.43, 0.24, 0.13, 0.06, 0.0, 0.22, 0.45, 0.16)),
}  # fmt: skip
MARGINS = (
    Margin("instruction", "contrast", "contrast", 2.0, "A third of the pilot's gap.", 8.0, "pilot, 70 pairs"),
    Margin("medical", "clinic_mcq", "accuracy", 0.10, "Ten points.", 0.5, "20 % discordant pairs"),
    Margin("clinical", "clinic_likelihood", "log_likelihood", 0.2, "A fifth of the gap.", 0.3, "pilot"),
    Margin("clinical", "clinic_summary", "fact_recall", 0.10, "One fact in ten.", 0.25, "pilot"),
)
FLOORS = {"contrast": ("chance", 0.0), "clinic_mcq": ("chance", 0.25), "clinic_likelihood": ("", nan)}


def draw_items() -> dict[tuple[str, str, str], list[float]]:
    """Items that share their difficulty between models, so that pairs correlate as real ones do."""
    rng = random.Random(7)
    items: dict[tuple[str, str, str], list[float]] = {}
    for (task, metric), (n, spread, binary, means) in MEASURES.items():
        hard = [rng.random() if binary else rng.gauss(0, spread * 0.85) for _ in range(n)]
        for label, mean in zip(LABELS, means, strict=True):
            if binary:
                values = [float(0.8 * h + 0.2 * rng.random() < mean) for h in hard]
            elif mean == 0:
                values = [0.0] * n
            else:
                values = [mean + h + rng.gauss(0, spread * 0.4) for h in hard]
            items[label, task, metric] = values
    return items


def interval(values: list[float], level: float = 0.95) -> Interval:
    half = 1.96 * stdev(values) / sqrt(len(values))
    return Interval(fmean(values) - half, fmean(values) + half, level, "normal")


def contrast(
    items: dict[tuple[str, str, str], list[float]], model: str, against: str, key: tuple[str, str]
) -> Contrast:
    one, two = items[(model, *key)], items[(against, *key)]
    found = [x - y for x, y in zip(one, two, strict=True)]
    n, _, binary, _ = MEASURES[key]
    names = [f"{key[0]}-{i:03d}" for i in range(n)]
    lost = tuple(i for i, d in zip(names, found, strict=True) if d < 0) if binary else ()
    gained = tuple(i for i, d in zip(names, found, strict=True) if d > 0) if binary else ()
    margin = next((m.value for m in MARGINS if (m.task, m.metric) == key), nan)
    return Contrast(
        model=model, against=against, task=key[0], metric=key[1], n=n, clusters=n // 2, difference=fmean(found),
        interval=interval(found), retention=fmean(one) / fmean(two) if fmean(two) > 0 else nan,
        forgotten=len(lost) / n if binary else nan, gained=len(gained) / n if binary else nan, forgotten_items=lost,
        gained_items=gained, margin=margin, mde=2.8 * stdev(found) / sqrt(n), verdict=judge(interval(found), margin),
    )  # fmt: skip


def make_comparison() -> Comparison:
    items = draw_items()
    scores = [
        Score(
            label,
            *key,
            MEASURES[key][0],
            MEASURES[key][0] // 2,
            fmean(items[(label, *key)]),
            interval(items[(label, *key)]),
        )
        for label in LABELS
        for key in MEASURES
    ]
    contrasts = [
        contrast(items, label, parent, key)
        for label in LABELS
        for parent in ("general", "clinical")
        if label != parent
        for key in MEASURES
    ]
    axes = []
    for m in MARGINS:
        floor, value = FLOORS.get(m.task, ("constant", 0.12))
        axes.append(
            Axis(
                m.axis,
                m.task,
                m.metric,
                MEASURES[m.task, m.metric][0],
                floor,
                value,
                Interval(value, value, 0.95, "constant"),
                True,
                f"clear of the {floor} floor",
            )
        )
    digests = {label: f"{index + 1:x}" * 64 for index, label in enumerate(LABELS)}
    return Comparison(LABELS, ("general", "clinical"), digests, tuple(scores), tuple(contrasts), tuple(axes), MARGINS)


RECIPE = """\
merge_method: linear
general: runs/demo/general
clinical: runs/demo/clinical
models:
  - model: runs/demo/general
    parameters: {weight: 0.5}
  - model: runs/demo/clinical
    parameters: {weight: 0.5}
dtype: float32
"""
ROLES = ("ancestor", "general", "merge", "merge", "merge", "clinical", "merge", "adapted", "adapted")
METHODS = ("", "supervised", "linear", "linear", "linear", "continued pre-training", "task_arithmetic", "LoRA", "LoRA")
NOMINAL = (nan, 0.0, 0.25, 0.5, 0.75, 1.0, nan, nan, nan)
STARTS = ("", "ancestor", "", "", "", "ancestor", "", "general", "linear 0.5")

EXAMPLE = json.loads(Path(__file__).with_name("example_answers.json").read_text(encoding="utf-8"))
FACTS = (
    ("drug", "naproxen", "naproxen"),
    ("dose", "lisinopril 10 mg", "lisinopril 10 mg"),
    ("side", "left knee", "left knee"),
    ("negated", "no fever", "no fever"),
    ("follow-up", "2 weeks", "2 weeks"),
)


def marks(answer: str) -> tuple[FactMark, ...]:
    low = answer.lower()
    found = [FactMark(kind, text, "found" if needle in low else "missing") for kind, text, needle in FACTS]
    wrong = [("dose", "lisinopril 20 mg"), ("side", "right knee")]
    return (*found, *(FactMark(kind, text, "fabricated") for kind, text in wrong if text in low))


def make_answers(number: int, prompt: str = EXAMPLE["prompt"], reference: str = EXAMPLE["reference"]) -> AnswerSet:
    answers = dict(zip(LABELS, EXAMPLE["answers"], strict=True))
    facts = {label: marks(answer) for label, answer in answers.items()}
    scores = {
        label: {
            "fact_recall": sum(m.state == "found" for m in facts[label]) / len(FACTS),
            "fact_fabrication": float(sum(m.state == "fabricated" for m in facts[label])),
            "rougeL": 14.0 + 3 * index,
            "words": float(len(answers[label].split())),
        }
        for index, label in enumerate(LABELS)
    }
    return AnswerSet("clinic_summary", f"clinic_summary-{number:03d}", prompt, reference, answers, scores, facts)


def make_report() -> ReportData:
    comparison = make_comparison()
    models = tuple(
        ModelCard(
            label=label, role=role, method=method, nominal=nominal,
            realised=nominal + 0.0004 if role == "merge" else nominal, weights_digest=comparison.digests[label],
            recipe=RECIPE if role == "merge" else "", start=start,
        )
        for label, role, method, nominal, start in zip(LABELS, ROLES, METHODS, NOMINAL, STARTS, strict=True)
    )  # fmt: skip
    path = tuple(PathPoint(m.label, m.nominal, m.realised) for m in models if m.nominal == m.nominal)
    floors = {
        (m.task, m.metric): Score(name, m.task, m.metric, 1, 1, value, Interval(value, value, 0.95, "constant"))
        for m in MARGINS
        for name, value in (FLOORS.get(m.task, ("constant", 0.12)),)
    }
    planning = plan_margins(MARGINS, {task: (n, n // 2) for (task, _), (n, *_) in reversed(MEASURES.items())}, floors)
    realised = tuple(
        RealisedRow(a, dtype, rounding, a + off * a * (1 - a))
        for a in (0.25, 0.5, 0.75)
        for dtype, rounding, off in (
            ("float32", "", 0.0),
            ("bfloat16", "stochastic", 0.002),
            ("bfloat16", "nearest", -0.4),
        )
    )
    items = draw_items()
    same = {**items, **{("A/A", *key): items[("general", *key)] for key in MEASURES}}
    replicates = tuple(
        replace(contrast(same, "A/A", "general", key), margin=nan, verdict="descriptive") for key in list(MEASURES)[:4]
    )
    return ReportData(
        title="SmolLM2-135M: an instruct branch and a clinical branch, merged",
        synthetic=True,
        notes=(
            "The ancestor is SmolLM2-135M-Instruct from a 4-bit file, de-quantised, and already instruct-tuned.",
            "SLERP at 0.5 took the arc in 0 of 272 tensors, equals linear 0.5, and is not evaluated twice.",
            "IFEval is truncated to 32 prompts of 128 new tokens: it describes and carries no verdict.",
        ),
        models=models,
        path=path,
        comparison=comparison,
        task_axes=TASK_AXES,
        planning=planning,
        answers=(make_answers(3), make_answers(11, "A shorter prompt.", "A shorter reference.")),
        gate=check_gate(comparison, general="general", clinical="clinical"),
        realised=realised,
        provenance=Provenance(
            study="name: smollm2\nseed: 0\n",
            study_digest="5" * 64,
            versions={"suture": "0.1.0", "torch": "2.13.0", "transformers": "5.23.0", "lm_eval": "0.4.13"},
            manifests={label: "7" * 64 for label, role in zip(LABELS, ROLES, strict=True) if role == "merge"},
            commands=("suture study run studies/smollm2.yaml --out runs/demo", "suture digest runs/demo/linear-0.5"),
        ),
        replicates=replicates,
    )


@pytest.fixture(scope="session")
def report() -> ReportData:
    return make_report()


@pytest.fixture(scope="session")
def answer_set() -> Callable[..., AnswerSet]:
    return make_answers
