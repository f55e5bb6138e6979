"""Instruction contrast: does the likelihood of a response follow the constraint that the prompt states?"""

from __future__ import annotations

from suture.tasks.task import Task

TASK = Task(
    name="contrast",
    axis="instruction",
    kind="contrast",
    instruction="",
    metrics=("contrast", "contrast_sign"),
    primary="contrast",
    binary=False,
    max_new_tokens=0,
    protocol=(
        "For two constraints a, b and a response written to satisfy each: contrast = log p(ra|a) - log p(ra|b) + "
        "log p(rb|b) - log p(rb|a), in nats, summed over tokens, stop token not scored, chat template. The "
        "responses' own likelihood cancels. contrast_sign is 1 where contrast > 0. Pairs of a topic share prompts "
        "and responses: cluster by topic."
    ),
    source="Suture; a difference of differences of pointwise mutual information between instruction and response",
)
