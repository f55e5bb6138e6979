"""Model references: `path[@revision][+adapter[@revision]]`, or the same as a mapping.

A recipe keeps them as text. A folder whose own name holds `+` or `@` wins over the parts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypeAlias

from pydantic import BeforeValidator, Field, WithJsonSchema


@dataclass(frozen=True, slots=True)
class Reference:
    """model, adapter: path or hub id, with `@revision` where one is asked for. adapter: None where there is none."""

    model: str
    adapter: str | None = None


def split_reference(text: str) -> Reference:
    """Return the parts of a reference."""
    if "+" not in text or Path(text).expanduser().is_dir():
        return Reference(text)
    model, _, adapter = text.partition("+")
    return Reference(model, adapter or None)


def as_text(raw: Any) -> Any:
    """Return the text of a reference written as text or mapping. Raises ValueError saying what is wrong."""
    if not isinstance(raw, Mapping):
        return raw
    unknown = sorted(str(key) for key in raw if key not in ("model", "lora"))
    if unknown:
        raise ValueError(f"a reference must hold model and lora only, not {', '.join(unknown)}")
    model, adapter = _part(raw.get("model")), _part(raw.get("lora"))
    if model is None:
        raise ValueError("a reference must name its model")
    return f"{model}+{adapter}" if adapter else model


def _part(raw: Any) -> str | None:
    if raw is None or isinstance(raw, str):
        return raw
    if isinstance(raw, Mapping) and isinstance(raw.get("path"), str) and not set(raw) - {"path", "revision"}:
        revision = raw.get("revision")
        return f"{raw['path']}@{revision}" if revision else str(raw["path"])
    raise ValueError("a reference must be a path, or path and revision")


_PART = {
    "anyOf": [
        {"type": "string", "minLength": 1},
        {
            "type": "object",
            "properties": {"path": {"type": "string"}, "revision": {"type": ["string", "null"]}},
            "required": ["path"],
            "additionalProperties": False,
        },
    ]
}
REFERENCE_SCHEMA: dict[str, Any] = {
    "description": "path[@revision][+adapter[@revision]], or the same as a mapping.",
    "anyOf": [
        {"type": "string", "minLength": 1},
        {
            "type": "object",
            "properties": {"model": _PART, "lora": _PART},
            "required": ["model"],
            "additionalProperties": False,
        },
    ],
}

ReferenceText: TypeAlias = Annotated[
    str, BeforeValidator(as_text), Field(min_length=1), WithJsonSchema(REFERENCE_SCHEMA)
]
