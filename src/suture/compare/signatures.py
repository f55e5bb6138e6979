"""How scores came to be, read from each task's meta.json: refuses numbers that were computed by different settings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from blake3 import blake3

from suture.compare.pairing import Table
from suture.errors import IncompatibleError, Problem, refuse
from suture.evaluate.items import read_meta

Signatures = dict[str, dict[str, str]]


def read_signatures(results: Mapping[str, Path]) -> tuple[Signatures, tuple[str, ...]]:
    """Return task -> metric -> signature, and a sentence for each other setting in which the models' runs differ.

    Raises IncompatibleError where one metric of a task was computed by different settings.
    """
    found: dict[tuple[str, str], dict[str, list[str]]] = {}
    settings: dict[tuple[str, str], dict[str, list[str]]] = {}
    for label, folder in results.items():
        for place in sorted(path for path in folder.iterdir() if path.is_dir()):
            meta = read_meta(place)
            key = _mapping(meta.get("key"))
            further = _mapping(_mapping(meta.get("further")).get("signatures"))
            for metric, signature in (*_mapping(key.get("signatures")).items(), *further.items()):
                found.setdefault((place.name, metric), {}).setdefault(str(signature), []).append(label)
            for name, value in _settings(key):
                settings.setdefault((place.name, name), {}).setdefault(value, []).append(label)
    refuse(IncompatibleError, [_problem(*key, said) for key, said in found.items() if len(said) > 1])
    signatures: Signatures = {}
    for (task, metric), said in found.items():
        signatures.setdefault(task, {})[metric] = next(iter(said))
    notes = (f"{task}: {name} differs: {_listed(said)}." for (task, name), said in settings.items() if len(said) > 1)
    return signatures, tuple(notes)


def digest_prompts(tables: Mapping[str, Mapping[str, Table]]) -> dict[str, str]:
    """Return task -> BLAKE3 over one line "item id, tab, prompt digest" an item, sorted; equal for all models."""
    found = {task: table for tasks in tables.values() for task, table in tasks.items()}
    return {
        task: blake3(
            "".join(f"{item}\t{row.prompt_digest}\n" for item, row in found[task].items()).encode()
        ).hexdigest()
        for task in sorted(found)
    }


def _settings(key: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for part in ("decoding", "engine"):
        for name, value in _mapping(key.get(part)).items():
            yield f"{part} {name.replace('_', ' ')}", str(value)


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _problem(task: str, metric: str, said: Mapping[str, list[str]]) -> Problem:
    must = "A metric must be computed by the same settings for all models."
    return Problem(must, _listed(said), f"task {task}, metric {metric}", "Evaluate again with one version.")


def _listed(said: Mapping[str, list[str]]) -> str:
    return "; ".join(f"{value} ({', '.join(labels)})" for value, labels in said.items())
