"""MTS-Dialog: from a doctor-patient dialogue to one section of the note."""

from __future__ import annotations

from suture.tasks.clinic_summary import TEXT_METRICS
from suture.tasks.task import Task

INSTRUCTION = "Write the section of the clinical note that this conversation belongs to.\n\n{input}"

TASK = Task(
    name="mts_section",
    axis="clinical",
    kind="generation",
    instruction=INSTRUCTION,
    metrics=(*TEXT_METRICS, "fact_omission", "fact_fabrication"),
    primary="rougeL",
    binary=False,
    max_new_tokens=128,
    protocol="Greedy, chat template, up to 128 new tokens; the reference is the section that a clinician wrote.",
    source="Ben Abacha et al. 2023, MTS-Dialog, EACL 2023 (task: dialogue to section)",
)
