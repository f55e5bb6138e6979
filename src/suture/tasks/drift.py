"""Drift: how far a model has moved from each parent, on that parent's own answers. A distance, never a verdict."""

from __future__ import annotations

from suture.tasks.task import Task

TASK = Task(
    name="drift",
    axis="probe",
    kind="drift",
    instruction="",
    metrics=("kl_to_<label>",),
    primary="",
    binary=False,
    max_new_tokens=48,
    protocol=(
        "For each parent: KL(parent || model) over the whole vocabulary, mean over the tokens of the parent's own "
        "greedy answer (up to 48, chat template), in nats a token. The parent's distributions are kept in fp32."
    ),
    source="Suture; sequence KL as in Hinton et al. 2015, arXiv:1503.02531",
)
