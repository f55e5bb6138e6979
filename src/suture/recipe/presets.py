"""Presets written out: a recipe whose merge_method is a preset's name becomes one of the method that it stands for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from suture.methods.registry import METHODS, PRESETS
from suture.strict_yaml import Document


def written_out(document: Document) -> Document:
    """Return the document with the preset's method and parameters; what the recipe says itself wins.

    The parameters of the models go to the listed ones in their order, the base left out; the last (or only) mapping
    goes to all that are left.
    """
    data = document.data
    preset = PRESETS.get(str(data.get("merge_method")))
    if preset is None or data["merge_method"] in METHODS:
        return document
    own = data.get("parameters")
    found = {**data, "merge_method": preset.method}
    if own is None or isinstance(own, Mapping):
        found["parameters"] = {**preset.parameters, **(own or {})}
    if isinstance(data.get("models"), list):
        found["models"] = _models(data["models"], data.get("base_model"), preset.models)
    return replace(document, data=found)


def _models(entries: list[Any], base: Any, given: tuple[Mapping[str, Any], ...]) -> list[Any]:
    found, number = [], 0
    for entry in entries:
        if not isinstance(entry, Mapping) or (base is not None and entry.get("model") == base):
            found.append(entry)
            continue
        own = entry.get("parameters")
        if own is None or isinstance(own, Mapping):
            entry = {**entry, "parameters": {**given[min(number, len(given) - 1)], **(own or {})}}
        number += 1
        found.append({key: value for key, value in entry.items() if key != "parameters" or value})
    return found
