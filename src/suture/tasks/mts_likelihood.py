"""MTS-Dialog: likelihood of the reference section given the dialogue."""

from __future__ import annotations

from suture.tasks.mts_section import INSTRUCTION
from suture.tasks.task import Task

TASK = Task(
    name="mts_likelihood",
    axis="clinical",
    kind="likelihood",
    instruction=INSTRUCTION,
    metrics=("log_likelihood",),
    primary="log_likelihood",
    binary=False,
    max_new_tokens=0,
    protocol=(
        "Mean log p a token of the reference section as the answer in the chat template, in nats (higher is "
        "better), stop token not scored. Comparable between models of one tokenizer only."
    ),
    source="Ben Abacha et al. 2023, MTS-Dialog, EACL 2023; measure: Suture",
)
