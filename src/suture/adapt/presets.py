"""Named settings of few-shot adaptation, each value with where it comes from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from suture.errors import UsageError
from suture.strict_yaml import nearest

STATED = "stated as the published recipe of the clinical group behind arXiv 2604.01538; not checked against a paper"
OURS = "ours, for models of up to about a billion parameters on a CPU or one small GPU"


@dataclass(frozen=True, slots=True)
class Preset:
    """Settings by name: value and source. summary: whom it is for. passes: times that the records are read."""

    summary: str
    passes: float
    values: Mapping[str, tuple[Any, str]]

    def plain(self) -> dict[str, Any]:
        """Return the values without their sources."""
        return {name: value for name, (value, _) in self.values.items()}


PRESETS: Mapping[str, Preset] = {
    "clinical-lora": Preset(
        "the clinical group's recipe, for models of billions of parameters on a GPU",
        3.0,
        {
            "lora_rank": (256, STATED),
            "lora_alpha": (512.0, "ours: twice the rank; the recipe states none"),
            "lora_targets": ("attention", STATED),
            "lora_dropout": (0.2, STATED),
            "learning_rate": (1e-4, STATED),
            "weight_decay": (0.01, STATED),
            "betas": ((0.9, 0.98), STATED),
            "schedule": ("cosine", STATED),
            "warmup": (50, STATED + "; at most a tenth of the updates, which few shots do not reach otherwise (ours)"),
            "batch": (4, "ours: four sequences in memory at once"),
            "accumulate": (4, STATED + " (batch 16)"),
            "length": (2048, "ours"),
            "checkpointing": (True, "ours: memory for time"),
            "autocast": ("bfloat16", "ours"),
        },
    ),
    "small-lora": Preset(
        "an adapter on every linear layer of a small model",
        2.0,
        {
            "lora_rank": (16, OURS),
            "lora_alpha": (32.0, OURS),
            "lora_targets": ("all-linear", OURS),
            "lora_dropout": (0.0, OURS),
            "learning_rate": (5e-4, OURS),
            "schedule": ("linear", OURS),
            "warmup": (2, OURS),
            "batch": (4, OURS),
            "length": (1024, OURS),
        },
    ),
    "small-full": Preset(
        "every weight of a small model; also continued pre-training",
        2.0,
        {
            "lora_rank": (None, OURS),
            "learning_rate": (5e-5, OURS),
            "schedule": ("linear", OURS),
            "warmup": (2, OURS),
            "batch": (4, OURS),
            "length": (1024, OURS),
        },
    ),
}
BY_MODE = {"lora": "small-lora", "full": "small-full", "cpt": "small-full"}


def get_preset(name: str) -> Preset:
    """Return a preset. Raises UsageError for an unknown name, with the nearest one."""
    if name not in PRESETS:
        from suture.errors import Problem

        raise UsageError(Problem(f"A preset must be one of {', '.join(PRESETS)}.", name, do=nearest(name, PRESETS)))
    return PRESETS[name]


def resolved(name: str, records: int, changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of a preset for so many records, with `changes` over them; steps follow from its passes.

    warmup is at most a tenth of the steps.
    """
    preset = get_preset(name)
    values = preset.plain() | dict(changes)
    if "steps" not in values:
        an_update = max(1, values["batch"] * values.get("accumulate", 1))
        values["steps"] = max(1, -(-int(preset.passes * records) // an_update))
    if "warmup" not in changes:
        values["warmup"] = min(values["warmup"], values["steps"] // 10)
    return values


def preset_rows() -> list[tuple[str, str, str, str]]:
    """Return (preset, setting, value, source) of every value."""
    return [
        (name, setting, str(value), source)
        for name, preset in PRESETS.items()
        for setting, (value, source) in (
            ("passes", (preset.passes, "ours: the number of updates follows from it")),
            *preset.values.items(),
        )
    ]
