"""A method in words, from its declaration: what the command line and the documentation show."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from suture.methods.parameters import Parameter
from suture.methods.presets import Preset
from suture.methods.shapes import MethodInfo

TIERS: Mapping[str, str] = {
    "core": "the field's standard ones",
    "compat": "the rest of what recipes for mergekit name",
    "contrib": "plug-ins: newer or less tried",
}
NAMES = ("clinical", "instruct", "other")
"""What the models of an example are called."""


def reference(paper: str) -> str:
    """The paper in a few words: authors and number, or authors and year."""
    authors = paper.split(",")[0].split("; ")[0]
    number = re.search(r"arXiv \d+\.\d+", paper) or re.search(r"\b(19|20)\d\d\b", paper)
    return f"{authors}, {number[0]}" if number and not authors.startswith("No paper") else authors


def inputs(info: MethodInfo) -> str:
    """How many models the method takes, in words."""
    base = {"required": 1, "none": 0, "optional": 0}[info.base]
    least, most = info.min_inputs - base, info.max_inputs and info.max_inputs - base
    count = f"{least} model{'s' * (least > 1)}" if most == least else f"{least} or more models"
    return (
        count
        + {"required": " and base_model", "none": ", no base_model", "optional": ", with or without base_model"}[
            info.base
        ]
    )


def example(info: MethodInfo) -> str:
    """A recipe in YAML."""
    own = {p.name for p in info.parameters if p.per_model}
    each = {name: value for name, value in info.example.items() if name in own}
    shared = {name: value for name, value in info.example.items() if name not in own}
    based = info.base == "required"
    count = max(info.min_inputs - based, 2 if info.max_inputs is None else 1)
    return recipe(info.name, [each] * count, shared, "models/base" if based else None, info.information)


def preset_example(preset: Preset) -> str:
    """A recipe in YAML."""
    models = preset.models if len(preset.models) > 1 or preset.method != "linear" else preset.models * 2
    base = "models/base" if preset.method == "task_arithmetic" else None
    return recipe(preset.method, list(models), preset.parameters, base)


def recipe(
    method: str,
    models: list[Mapping[str, Any]],
    shared: Mapping[str, Any],
    base: str | None,
    information: str = "none",
) -> str:
    """A recipe in YAML, of models called as in NAMES, with files of `information` where it is not "none"."""
    import yaml

    listed: list[dict[str, Any]] = []
    for name, own in zip(NAMES, models, strict=False):
        listed.append({"model": f"models/{name}"})
        if information != "none":
            listed[-1]["information"] = f"{name}-{information}.safetensors"
        if own:
            listed[-1]["parameters"] = dict(own)
    content: dict[str, Any] = {"merge_method": method}
    if base is not None:
        content["base_model"] = base
    content["models"] = listed
    if shared:
        content["parameters"] = dict(shared)
    text: str = yaml.safe_dump(content, sort_keys=False, default_flow_style=None, width=120)
    return text


def facts(info: MethodInfo) -> list[tuple[str, str]]:
    """What the declaration says, each part under a word; an example recipe last."""
    needs = f"the {info.information} statistics of each model (suture calibrate)"
    parts = [
        ("", info.summary),
        ("formula", info.formula),
        ("paper", info.paper),
        ("inputs", inputs(info)),
        ("needs", needs if info.information != "none" else ""),
        *(("parameters" if i == 0 else "", p.describe()) for i, p in enumerate(info.parameters)),
        ("deviations", info.deviations.strip()),
        ("helps", info.helps),
        ("fails", info.fails),
        ("laws", ", ".join(info.laws)),
        ("example", example(info).rstrip()),
    ]
    return [(word, text) for word, text in parts if text]


def preset_facts(preset: Preset) -> list[tuple[str, str]]:
    """What a preset is, each part under a word; its recipe last."""
    parts = [
        ("", preset.summary),
        ("method", preset.method),
        ("paper", preset.paper),
        ("models", ", ".join(preset.roles)),
        ("recipe", preset_example(preset).rstrip()),
    ]
    return [(word, text) for word, text in parts if text]


def parameter_row(parameter: Parameter) -> str:
    """A row of a Markdown table: name, meaning, what it may be, default."""
    default = "required" if parameter.required else f"`{str(parameter.default).lower()}`"
    per_model = " (each model)" if parameter.per_model else ""
    domain = parameter.domain + (f" {parameter.unit}" if parameter.unit else "")
    return f"| `{parameter.name}`{per_model} | {parameter.meaning} | {domain} | {default} |"
