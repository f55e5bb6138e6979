"""Summaries of the synthetic clinic's records: dialogue to section, findings to impression, stay to brief course."""

from __future__ import annotations

from suture.tasks.task import Task

TEXT_METRICS = ("rouge1", "rouge2", "rougeL", "rougeLsum", "bleu", "meteor", "words", "repetition")

TASK = Task(
    name="clinic_summary",
    axis="clinical",
    kind="generation",
    instruction="Summarize this clinical text in a few sentences.\n\n{input}",
    metrics=(*TEXT_METRICS, "fact_recall", "fact_fabrication"),
    primary="rougeL",
    binary=False,
    max_new_tokens=64,
    protocol=(
        "Greedy, chat template, up to 64 new tokens. ROUGE, BLEU, METEOR against the reference section, facts "
        "against the structured record and the input."
    ),
    source=(
        "Form of the tasks: ACI-BENCH (Yim et al. 2023), MIMIC-CXR findings to impression, MIMIC-IV-BHC; texts: Suture"
    ),
)
