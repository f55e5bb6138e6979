"""Recipes of mergekit 0.1.5 -> ours: the same merge written with our keys, and a note for each thing that is ignored.

What that program does silently is done here by name: it ignores unknown keys and parameters, appends an unlisted
base_model to the models of a method without a base, and takes config and tokenizer from base_model, else from the first
model (there: from an arbitrary one). It rounds to nearest, and rescales after random dropping by the L1 norm.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from difflib import get_close_matches
from types import MappingProxyType
from typing import Any

from suture.methods.registry import METHODS, MethodInfo, Parameter
from suture.recipe.references import as_text
from suture.strict_yaml import Document, Lines, Place

TOP = (
    *("name", "merge_method", "base_model", "models", "slices", "modules", "parameters"),
    *("dtype", "out_dtype", "tokenizer_source", "tokenizer", "chat_template"),
)
KEYS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "model": ("model", "parameters"),
        "source": ("model", "layer_range", "parameters"),
        "slice": ("sources", "base_model", "parameters"),
        "module": ("models", "slices", "parameters"),
        "tokenizer": ("source", "tokens", "pad_to_multiple_of"),
        "token": ("source", "force"),
    }
)
WITHOUT_EFFECT: Mapping[str, str] = MappingProxyType(
    {
        "int8_mask": "it never changed a result",
        "residual_weight": "it is read and never used there either",
        "override_architecture": "tensors correspond by name here",
    }
)
RESCALED = ("dare_linear", "dare_ties", "della", "della_linear")
WIDER = ("float64", "int64")


def translated(document: Document) -> tuple[Document, tuple[str, ...]]:
    """Return the document in our keys, and the notes.

    What cannot be translated is left as it is: the schema refuses it with its line.
    """
    work = _Translation(document.lines, document.origin)
    data = work.recipe(document.data)
    notes = (*document.notes, *work.notes)
    return replace(document, data=data), notes


class _Translation:
    """One document on its way; gathers the notes."""

    def __init__(self, lines: Lines, origin: str) -> None:
        self.lines = lines
        self.origin = origin
        self.notes: list[str] = []

    def recipe(self, data: Mapping[Any, Any]) -> dict[str, Any]:
        found = self.known(data, TOP, ())
        method = METHODS.get(str(found.get("merge_method")))
        info = method.info if method is not None else None
        for key in ("dtype", "out_dtype"):
            self.dtype(found, key)
        if "base_model" in found:
            found["base_model"] = self.reference(found["base_model"], ("base_model",))
        base = found.get("base_model")
        self.body(found, (), info, base)
        if isinstance(found.get("modules"), Mapping):
            modules = {
                str(name): self.known(part, KEYS["module"], ("modules", name))
                for name, part in found["modules"].items()
            }
            for name, module in modules.items():
                self.body(module, ("modules", name), info, base)
            found["modules"] = modules
        donor = base if base is not None else _first_model(found)
        self.tokenizer(found, donor)
        if donor is not None:
            found["general"] = donor
        if info is not None:
            self.rescale(found, info)
        return {**found, "rounding": "nearest"}

    def body(self, found: dict[str, Any], place: Place, info: MethodInfo | None, base: Any) -> None:
        """Translate `models`, `slices` and `parameters` of the recipe or of a module, in place."""
        if "parameters" in found:
            found["parameters"] = self.parameters(found["parameters"], (*place, "parameters"), info)
        if isinstance(found.get("models"), Sequence):
            models = [
                self.entry(entry, (*place, "models", n), info, base, "model") for n, entry in enumerate(found["models"])
            ]
            listed = [entry.get("model") for entry in models if isinstance(entry, Mapping)]
            if info is not None and info.base == "none" and base is not None and base not in listed:
                models.append({"model": base})
                self.note((*place, "base_model"), f"{info.name} has no base: {base} is merged as one more model")
            found["models"] = models
        if isinstance(found.get("slices"), Sequence):
            found["slices"] = [
                self.slice(part, (*place, "slices", n), info, base) for n, part in enumerate(found["slices"])
            ]

    def slice(self, part: Any, place: Place, info: MethodInfo | None, base: Any) -> Any:
        if not isinstance(part, Mapping):
            return part
        found = self.known(part, KEYS["slice"], place)
        if "base_model" in found:
            base = found["base_model"] = self.reference(found["base_model"], (*place, "base_model"))
        if "parameters" in found:
            found["parameters"] = self.parameters(found["parameters"], (*place, "parameters"), info)
        if isinstance(found.get("sources"), Sequence):
            found["sources"] = [
                self.entry(entry, (*place, "sources", n), info, base, "source")
                for n, entry in enumerate(found["sources"])
            ]
        return found

    def entry(self, entry: Any, place: Place, info: MethodInfo | None, base: Any, kind: str) -> Any:
        if not isinstance(entry, Mapping):
            return entry
        found = self.known(entry, KEYS[kind], place)
        if "model" in found:
            found["model"] = self.reference(found["model"], (*place, "model"))
        if "parameters" not in found:
            return found
        parameters = self.parameters(found["parameters"], (*place, "parameters"), info)
        if info is not None and isinstance(parameters, dict):
            is_base = base is not None and info.base != "none" and found.get("model") == base
            own = {p.name for p in info.parameters if p.per_model and not is_base}
            for name in [name for name in parameters if name not in own]:
                del parameters[name]
                why = "the base takes no parameters" if is_base else "it is shared by all models"
                self.note((*place, "parameters", name), f"'{name}' is ignored: {why}")
        found["parameters"] = parameters
        return found

    def parameters(self, level: Any, place: Place, info: MethodInfo | None) -> Any:
        if not isinstance(level, Mapping) or info is None:
            return level
        declared = {parameter.name: parameter for parameter in info.parameters}
        found = {}
        for name, value in level.items():
            if value is None or value == []:
                self.note((*place, name), f"'{name}' is ignored: it has no value")
            elif name not in declared:
                self.ignored(name, declared, (*place, name))
            else:
                found[str(name)] = self.value(declared[name], value, (*place, name))
        return found

    def value(self, parameter: Parameter, value: Any, place: Place) -> Any:
        """Turn what that program takes as truth values, and densities above 1, into what the parameter takes."""
        if isinstance(value, list):
            return [self.value(parameter, item, place) for item in value]
        if isinstance(value, Mapping):
            return {key: self.value(parameter, v, place) if key == "value" else v for key, v in value.items()}
        if parameter.name == "rescale" and isinstance(value, bool | int | float):
            return "l1" if value else "none"
        if parameter.kind == "bool" and isinstance(value, int | float):
            return bool(value)
        if parameter.name == "density" and isinstance(value, int | float) and value > 1:
            self.note(place, f"density {value} keeps everything: taken as 1")
            return 1.0
        return value

    def rescale(self, found: dict[str, Any], info: MethodInfo) -> None:
        """State the default of that program where ours is another one."""
        if any(parameter.name == "rescale" for parameter in info.parameters):
            parameters = found.setdefault("parameters", {})
            if isinstance(parameters, dict):
                parameters.setdefault("rescale", "l1" if info.name in RESCALED else "none")

    def tokenizer(self, found: dict[str, Any], donor: Any) -> None:
        short = found.get("tokenizer_source")
        if short is not None:
            short = self.reference(short, ("tokenizer_source",))
            found["tokenizer_source"] = short.removeprefix("model:") if isinstance(short, str) else short
        keys = found.get("tokenizer")
        if isinstance(keys, Mapping):
            keys = found["tokenizer"] = self.known(keys, KEYS["tokenizer"], ("tokenizer",))
            if isinstance(keys.get("tokens"), Mapping):
                keys["tokens"] = {
                    token: self.known(entry, KEYS["token"], ("tokenizer", "tokens", token))
                    if isinstance(entry, Mapping)
                    else entry
                    for token, entry in keys["tokens"].items()
                }
            if keys.get("source") == "base" and found.get("base_model") is None:
                keys["source"] = donor
        if found.get("tokenizer_source") == "base" and found.get("base_model") is None:
            found["tokenizer_source"] = donor

    def dtype(self, found: dict[str, Any], key: str) -> None:
        name = found.get(key)
        if key == "dtype" and isinstance(name, str) and name.removeprefix("torch.") in WIDER and "out_dtype" in found:
            self.note((key,), f"dtype {name} is ignored: arithmetic is float32")
            del found[key]

    def reference(self, raw: Any, place: Place) -> Any:
        if not isinstance(raw, Mapping):
            return raw
        plain = self.known(raw, ("model", "lora"), place)
        for part in ("model", "lora"):
            if isinstance(plain.get(part), Mapping):
                plain[part] = self.known(plain[part], ("path", "revision"), (*place, part))
        try:
            return as_text(plain)
        except ValueError:
            return plain

    def known(self, data: Any, keys: Sequence[str], place: Place) -> Any:
        """Return a copy with the known keys that have a value; note the others."""
        if not isinstance(data, Mapping):
            return data
        for key in data:
            if key not in keys:
                self.ignored(str(key), keys, (*place, key))
        return {key: data[key] for key in keys if data.get(key) is not None}

    def ignored(self, name: str, known: Sequence[str] | Mapping[str, Any], place: Place) -> None:
        close = get_close_matches(name, list(known), n=1, cutoff=0.6)
        why = WITHOUT_EFFECT.get(name, f"did you mean '{close[0]}'?" if close else "it is not known here")
        self.note(place, f"'{name}' is ignored: {why}")

    def note(self, place: Place, text: str) -> None:
        written = next((place[:n] for n in range(len(place), 0, -1) if place[:n] in self.lines), ())
        self.notes.append(f"{self.origin}, line {self.lines.get(written, 1)}: {text}")


def _first_model(found: Mapping[str, Any]) -> Any:
    """The first model in the order of the file."""
    parts: list[Any] = [found, *(found["modules"].values() if isinstance(found.get("modules"), Mapping) else ())]
    for part in parts:
        entries = list(part.get("models") or ()) if isinstance(part, Mapping) else []
        for piece in (part.get("slices") or ()) if isinstance(part, Mapping) else ():
            entries += list(piece.get("sources") or ()) if isinstance(piece, Mapping) else []
        for entry in entries:
            if isinstance(entry, Mapping) and isinstance(entry.get("model"), str):
                return entry["model"]
    return None
