"""How metrics, axes, verdicts and numbers are written, the same in the terminal and in the HTML page."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite

from suture.compare.verdicts import Interval
from suture.evaluate.repaired import SUFFIX, Difference, is_repaired

MISSING = "–"
NARROW = "\u202f"  # narrow no-break space: keeps an interval on one line

AXES: Mapping[str, str] = {
    "instruction": "Instruction following",
    "medical": "Medical knowledge",
    "clinical": "Clinical generation",
    "general": "General ability",
    "probe": "Probe",
}

TONES: Mapping[str, str] = {
    "kept": "kept",
    "forgotten": "forgotten",
    "not established at this n": "open",
    "no headroom": "mute",
    "descriptive": "mute",
}
MARKS: Mapping[str, str] = {"kept": "✓", "forgotten": "✕", "open": "?", "mute": "·"}

TASKS: Mapping[str, str] = {
    "ifeval": "IFEval",
    "contrast": "contrast pairs",
    "clinic_mcq": "record questions",
    "clinic_summary": "clinic summaries",
    "clinic_likelihood": "held-out notes",
    "mts_section": "MTS-Dialog sections",
    "mts_likelihood": "MTS-Dialog references",
    "ifbench": "IFBench",
    "medqa": "MedQA",
    "medmcqa": "MedMCQA",
    "pubmedqa": "PubMedQA",
    "mimic_bhc": "MIMIC-BHC",
    "aci_bench": "ACI-BENCH",
    "mts_dialog": "MTS-Dialog",
    "open_i": "Open-i",
    "mimic_cxr": "MIMIC-CXR",
    "meqsum": "MeQSum",
    "primock57": "PriMock57",
    "gsm8k": "GSM8K",
    "arc_challenge": "ARC-Challenge",
    "hellaswag": "HellaSwag",
    "truthfulqa": "TruthfulQA",
    "aci_bench_subjective": "ACI-BENCH, subjective",
    "aci_bench_objective_exam": "ACI-BENCH, exam",
    "aci_bench_objective_results": "ACI-BENCH, results",
    "aci_bench_assessment_and_plan": "ACI-BENCH, assessment and plan",
    "mtsamples_course": "MTSamples, hospital course",
    "mtsamples_impression": "MTSamples, impression",
    "mmlu_anatomy": "MMLU anatomy",
    "mmlu_clinical_knowledge": "MMLU clinical knowledge",
    "mmlu_college_biology": "MMLU college biology",
    "mmlu_college_medicine": "MMLU college medicine",
    "mmlu_medical_genetics": "MMLU medical genetics",
    "mmlu_professional_medicine": "MMLU professional medicine",
}


@dataclass(frozen=True, slots=True)
class Metric:
    """How one metric is shown: its value times scale, with so many decimals, in unit."""

    name: str
    unit: str
    scale: float
    decimals: int


_SHARE = ("%", 100.0, 1)
# Described beside quality, never an axis of the curve.
SIDE_EFFECTS = ("words", "repetition", "language_mixing", "refusal", "empty", "truncated")
METRICS: Mapping[str, Metric] = {
    "prompt_level_strict": Metric("prompts passed, strict", *_SHARE),
    "prompt_level_loose": Metric("prompts passed, loose", *_SHARE),
    "inst_level_strict": Metric("instructions passed, strict", *_SHARE),
    "inst_level_loose": Metric("instructions passed, loose", *_SHARE),
    "contrast": Metric("instruction contrast", "nats", 1.0, 2),
    "contrast_sign": Metric("positive contrast", *_SHARE),
    "accuracy": Metric("accuracy", *_SHARE),
    "accuracy_norm": Metric("accuracy, by length", *_SHARE),
    "exact_match": Metric("exact match", *_SHARE),
    "answer_nll": Metric("answer NLL", "nats", 1.0, 3),
    "log_likelihood": Metric("log-likelihood", "nats a token", 1.0, 3),
    "fact_recall": Metric("fact recall", *_SHARE),
    "fact_omission": Metric("facts left out", *_SHARE),
    "fact_fabrication": Metric("made-up facts", "an answer", 1.0, 2),
    "rouge1": Metric("ROUGE-1", "", 1.0, 1),
    "rouge2": Metric("ROUGE-2", "", 1.0, 1),
    "rougeL": Metric("ROUGE-L", "", 1.0, 1),
    "rougeLsum": Metric("ROUGE-Lsum", "", 1.0, 1),
    "bleu": Metric("BLEU", "", 1.0, 1),
    "meteor": Metric("METEOR", "", 1.0, 1),
    "bertscore_f1": Metric("BERTScore F1", "", 1.0, 1),
    "medcon": Metric("MEDCON", "", 1.0, 1),
    "alignscore": Metric("AlignScore", "", 1.0, 1),
    "bleurt": Metric("BLEURT", "", 1.0, 1),
    "radgraph": Metric("RadGraph", "", 1.0, 1),
    "acibench": Metric("composite acibench", "", 1.0, 1),
    "discharge-me": Metric("composite discharge-me", "", 1.0, 1),
    "plain": Metric("composite plain", "", 1.0, 1),
    "words": Metric("words an answer", "words", 1.0, 0),
    "repetition": Metric("repetition", *_SHARE),
    "language_mixing": Metric("other language", *_SHARE),
    "refusal": Metric("refusals", *_SHARE),
    "empty": Metric("empty answers", *_SHARE),
    "truncated": Metric("inputs cut off", *_SHARE),
    "exposure": Metric("exposure of secrets", "bits", 1.0, 2),
    "extracted": Metric("secrets extracted", *_SHARE),
    "same_response": Metric("same answer", *_SHARE),
}


def is_quality(metric: str) -> bool:
    """Return whether `metric` may be an axis: no side effect, no distance, no second reading of another metric."""
    return metric not in SIDE_EFFECTS and not metric.startswith("kl_to_") and not is_repaired(metric)


def metric_style(metric: str) -> Metric:
    """Return how `metric` is shown; an unknown one is shown as it is, three decimals."""
    if is_repaired(metric):
        shown = METRICS[metric.removesuffix(SUFFIX)]
        return Metric(f"{shown.name}, repaired", shown.unit, shown.scale, shown.decimals)
    if metric.startswith("kl_to_"):
        return Metric(f"KL to {metric.removeprefix('kl_to_')}", "nats a token", 1.0, 3)
    return METRICS.get(metric, Metric(metric.replace("_", " "), "", 1.0, 3))


def measure(task: str, metric: str) -> str:
    """Return the words for one metric of one task: "ROUGE-L on clinic summaries"."""
    name = metric_style(metric).name
    if task == "contrast":
        return name
    joint = " of " if metric == "log_likelihood" else " on "
    return f"{name}{joint}{TASKS.get(task, task.replace('_', ' '))}"


def measure_in_unit(task: str, metric: str) -> str:
    """Return `measure` with the unit that is shown: "accuracy on MedQA (%)"."""
    return in_unit(measure(task, metric), metric)


def in_unit(text: str, metric: str) -> str:
    """Return what stands for `metric` with the unit that is shown, where it has one."""
    unit = unit_of(metric)
    return f"{text} ({unit})" if unit else text


def verdict_words(verdict: str) -> str:
    """Return a verdict as it is written where n stands beside it."""
    return verdict.removesuffix(" at this n")


def number(value: float, decimals: int, *, signed: bool = False) -> str:
    """Write a number with a true minus sign; a dash where it is not finite."""
    if not isfinite(value):
        return MISSING
    text = f"{value:+.{decimals}f}" if signed else f"{value:.{decimals}f}"
    if not float(text):
        text = text.lstrip("+-")
    return text.replace("-", "−")


def value_text(metric: str, value: float, *, signed: bool = False) -> str:
    """Write `value` of `metric` in the unit that is shown, without the unit."""
    style = metric_style(metric)
    return number(value * style.scale, style.decimals, signed=signed)


def interval_text(metric: str, interval: Interval, *, signed: bool = False) -> str:
    """Write the bounds as "[low, high]", unbreakable; empty where there are none."""
    if not (isfinite(interval.low) and isfinite(interval.high)):
        return ""
    low, high = (value_text(metric, bound, signed=signed) for bound in (interval.low, interval.high))
    return f"[{low},{NARROW}{high}]"


def with_interval(metric: str, value: float, interval: Interval, *, signed: bool = False) -> str:
    """Write "value [low, high]"; breaks at most between the value and its interval."""
    return f"{value_text(metric, value, signed=signed)} {interval_text(metric, interval, signed=signed)}".rstrip()


def unit_of(metric: str) -> str:
    """Return the unit in which `metric` is shown; a share's difference is in points, so "%" stands for both."""
    return metric_style(metric).unit


def share(value: float, *, signed: bool = False) -> str:
    """Write a share as per cent."""
    return f"{number(100 * value, 1, signed=signed)}{NARROW}%" if isfinite(value) else MISSING


def share_interval(interval: Interval) -> str:
    """Write the bounds of a share or ratio in per cent, "[low, high]", unbreakable; empty where there are none."""
    if not (isfinite(interval.low) and isfinite(interval.high)):
        return ""
    return f"[{number(100 * interval.low, 1)},{NARROW}{number(100 * interval.high, 1)}]"


def p_text(value: float) -> str:
    """Write a p-value: three decimals, "< 0.001" below that; a dash where there is none."""
    if not isfinite(value):
        return MISSING
    return f"<{NARROW}0.001" if value < 0.001 else number(value, 3)


def coefficient(value: float) -> str:
    """Write a nominal coefficient: 0.5, 0.25; three decimals at the most."""
    return f"{value:.3f}".rstrip("0").rstrip(".").replace("-", "−") if isfinite(value) else MISSING


def realised(value: float) -> str:
    """Write a realised coefficient: always three decimals, so that a shift shows."""
    return number(value, 3)


_OF_INSTRUCTIONS = {"strict": "inst_level_strict", "loose": "inst_level_loose"}


def repair_line(task: str, found: Difference, *, names: int = 10) -> str:
    """Return the sentence that says what the repair of IFEval's verdicts changes, the first `names` items by name."""
    name = TASKS.get(task, task)
    if not found.items:
        text = f"{name}: published and repaired verdicts agree on all {found.n} prompts"
    else:
        listed = ", ".join(found.items[:names]) + (", …" if len(found.items) > names else "")
        moved = ", ".join(
            f"{metric_style(level).name} {value_text(level, value)} → {value_text(level, found.repaired[level])} %"
            for level, value in found.published.items()
            if value != found.repaired[level]
        )
        text = f"{name}: published and repaired verdicts differ on {len(found.items)} of {found.n} prompts ({listed})"
        text += f": {moved}" if moved else ", with equal means"
    if found.drawn:
        text += f"; {found.drawn} of {found.instructions} instructions hang on a draw of the published code"
    if found.accuracy:
        shares = [f"{kind} {value_text(name, found.accuracy[name])} %" for kind, name in _OF_INSTRUCTIONS.items()]
        text += f". Of all {found.instructions} instructions, as its authors count: {', '.join(shares)}"
    return f"{text}."
