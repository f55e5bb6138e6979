"""The suites: which tasks `suture eval --suite` runs, on which data set, by which task file of the harness.

A task file `harness/<name>.yaml` is in lm-evaluation-harness's own format and says, where its protocol departs from the
harness's own task, why. `lm_eval --include_path` runs it too.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from types import MappingProxyType

import yaml

from suture.errors import Problem, UsageError
from suture.tasks.ifeval import LEVELS
from suture.tasks.ifeval import TASK as IFEVAL
from suture.tasks.task import Axis, Task

FOLDER = Path(__file__).parent / "harness"
TEXT_METRICS = (
    *("rouge1", "rouge2", "rougeL", "rougeLsum", "bleu", "meteor", "fact_omission", "fact_fabrication"),
    *("words", "repetition", "language_mixing", "refusal", "empty"),
)
CHOICE = (
    "Log-likelihood of each option after the plain prompt, without a chat template and without examples; the option of "
    "the highest one is the answer (accuracy), or of the highest one per character (accuracy_norm). answer_nll: minus "
    "the log-probability of the right option among the options, in nats."
)
TEXT = "Greedy, one user turn in the chat template. ROUGE, BLEU, METEOR against the reference; facts against the input."


def _choice(name: str, dataset: str, axis: Axis, source: str, *, section: str = "", norm: bool = False) -> Task:
    return Task(
        name=name,
        axis=axis,
        kind="harness",
        instruction="",
        metrics=("accuracy", "accuracy_norm", "answer_nll"),
        primary="accuracy_norm" if norm else "accuracy",
        binary=True,
        max_new_tokens=0,
        protocol=CHOICE,
        source=source,
        dataset=dataset,
        section=section,
    )


def _text(name: str, limit: int, source: str, *, dataset: str = "", section: str = "") -> Task:
    return Task(
        name=name,
        axis="clinical",
        kind="harness",
        instruction="",
        metrics=TEXT_METRICS,
        primary="rougeL",
        binary=False,
        max_new_tokens=limit,
        protocol=TEXT,
        source=source,
        dataset=dataset or name,
        section=section,
    )


_IFBENCH = Task(
    name="ifbench",
    axis="instruction",
    kind="ifeval",
    instruction="",
    metrics=LEVELS,
    primary="prompt_level_loose",
    binary=True,
    max_new_tokens=1280,
    protocol="Greedy, chat template, up to 1,280 new tokens; strict and loose as in IFEval. Published: loose.",
    source="Pyatkin et al. 2025, IFBench, arXiv:2507.02833",
    dataset="ifbench",
)
_ACI = "Yim et al. 2023, ACI-BENCH, Scientific Data 10:586"
_MMLU = (
    *("anatomy", "clinical_knowledge", "college_biology"),
    *("college_medicine", "medical_genetics", "professional_medicine"),
)
_GSM8K = Task(
    name="gsm8k",
    axis="general",
    kind="harness",
    instruction="",
    metrics=("exact_match", "words", "repetition", "language_mixing", "refusal", "empty"),
    primary="exact_match",
    binary=True,
    max_new_tokens=512,
    protocol="Greedy, one user turn in the chat template, no examples; the last number of the answer counts.",
    source="Cobbe et al. 2021, arXiv:2110.14168; extraction: lm-evaluation-harness, flexible-extract",
    dataset="gsm8k",
)

SUITES: Mapping[str, tuple[Task, ...]] = MappingProxyType(
    {
        "instruction": (IFEVAL, _IFBENCH),
        "medical": (
            _choice("medqa", "medqa", "medical", "Jin et al. 2021, MedQA; prompt: lm-evaluation-harness, multimedqa"),
            _choice("medmcqa", "medmcqa", "medical", "Pal et al. 2022, MedMCQA; prompt: lm-evaluation-harness"),
            _choice("pubmedqa", "pubmedqa", "medical", "Jin et al. 2019, PubMedQA; prompt: lm-evaluation-harness"),
            *(
                _choice(f"mmlu_{subject}", "mmlu", "medical", "Hendrycks et al. 2021, MMLU", section=subject)
                for subject in _MMLU
            ),
        ),
        "clinical": (
            _text("mimic_bhc", 512, "Aali et al. 2024, MIMIC-IV-Ext-BHC, PhysioNet"),
            _text("aci_bench", 1024, _ACI, section="full"),
            *(
                _text(f"aci_bench_{division}", limit, f"{_ACI}, note divisions", dataset="aci_bench", section=division)
                for division, limit in (
                    ("subjective", 640),
                    ("objective_exam", 384),
                    ("objective_results", 256),
                    ("assessment_and_plan", 640),
                )
            ),
            _text("mts_dialog", 256, "Ben Abacha et al. 2023, MTS-Dialog, EACL 2023"),
            _text("open_i", 128, "Demner-Fushman et al. 2016, Open-i"),
            _text("mimic_cxr", 128, "Johnson et al. 2019, MIMIC-CXR, PhysioNet"),
            _text("mtsamples_course", 512, "MTSamples; cut: Suture"),
            _text("mtsamples_impression", 256, "MTSamples; cut: Suture"),
            _text("meqsum", 64, "Ben Abacha and Demner-Fushman 2019, MeQSum, ACL 2019"),
            _text("primock57", 512, "Papadopoulos Korfiatis et al. 2022, PriMock57, ACL 2022"),
        ),
        "general": (
            _GSM8K,
            _choice("arc_challenge", "arc_challenge", "general", "Clark et al. 2018, arXiv:1803.05457", norm=True),
            _choice("hellaswag", "hellaswag", "general", "Zellers et al. 2019, arXiv:1905.07830", norm=True),
            _choice("truthfulqa", "truthfulqa", "general", "Lin et al. 2022, TruthfulQA, MC1"),
        ),
    }
)
SUITE_TASKS: Mapping[str, Task] = MappingProxyType({task.name: task for tasks in SUITES.values() for task in tasks})


def get_suite(name: str) -> tuple[Task, ...]:
    """Return the tasks of a suite, or of all of them; raises UsageError, which names the nearest known one."""
    if name == "all":
        return tuple(SUITE_TASKS.values())
    if name in SUITES:
        return SUITES[name]
    near = get_close_matches(name, [*SUITES, "all"], n=1, cutoff=0.0)
    raise UsageError(Problem(f"A suite must be one of {', '.join(SUITES)}, all.", name, do=f"Did you mean {near[0]}?"))


def task_file(task: Task) -> Path:
    """Return the harness's task file of a task of kind "harness"."""
    return FOLDER / f"{task.name}.yaml"


def user_turn(task: Task) -> str:
    """Return the user's turn of a task that writes, {input} where the item's text stands: what is learnt from.

    Raises UsageError for a prompt of the harness that uses more of an item than its input.
    """
    if task.kind != "harness":
        return task.instruction or "{input}"
    prompt = task.instruction or yaml.safe_load(task_file(task).read_text(encoding="utf-8"))["doc_to_text"]
    if not set(re.findall(r"\{[{%]\s*(\w+)", prompt)) <= {"input"} or "{%" in prompt:
        must = "A task that is learnt from may use {{input}} alone in its prompt."
        raise UsageError(Problem(must, "other fields too", f"task {task.name}, prompt"))
    return re.sub(r"\{+\s*input\s*\}+", "{input}", prompt)
