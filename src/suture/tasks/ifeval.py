"""IFEval: 541 prompts with 25 kinds of verifiable instructions, through lm-evaluation-harness."""

from __future__ import annotations

from suture.tasks.task import Task

LEVELS = ("prompt_level_strict", "inst_level_strict", "prompt_level_loose", "inst_level_loose")
TASK = Task(
    name="ifeval",
    axis="instruction",
    kind="ifeval",
    instruction="",
    metrics=(*LEVELS, *(f"{level}_repaired" for level in LEVELS)),
    primary="prompt_level_strict",
    binary=True,
    max_new_tokens=1280,
    protocol=(
        "Greedy, chat template, up to 1,280 new tokens. prompt_level: 1 where all instructions of a prompt pass; "
        "inst_level: share of a prompt's instructions that pass (the field's instruction-level accuracy weights "
        "prompts by their number of instructions). Strict: the response is not empty and the verifier passes. "
        "Loose: it passes on any of 8 variants (asterisks removed or not; first, last, both or no line dropped). "
        "langdetect is seeded with 0, which the harness does not do; all arguments are kept, those of value 0 too. "
        "_repaired: the language is what most of ten seeded draws name."
    ),
    dataset="ifeval",
    source="Zhou et al. 2023, arXiv:2311.07911, section 2; lm-evaluation-harness task ifeval, version 4.0",
)
