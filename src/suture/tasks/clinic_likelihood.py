"""Likelihood of held-out note text of the synthetic clinic, read as raw text."""

from __future__ import annotations

from suture.tasks.task import Task

TASK = Task(
    name="clinic_likelihood",
    axis="clinical",
    kind="likelihood",
    instruction="",
    metrics=("log_likelihood",),
    primary="log_likelihood",
    binary=False,
    max_new_tokens=0,
    protocol=(
        "Mean log p a token of the reference, in nats (higher is better), after the start token, without a chat "
        "template, stop token not scored. Comparable between models of one tokenizer only."
    ),
    source="Suture; the start token as in lm-evaluation-harness (prefix_token_id)",
)
