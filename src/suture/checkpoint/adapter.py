"""PEFT adapters, laid on the tensors of a base model as sources.

The file format is PEFT's: adapter_config.json, and adapter_model.safetensors whose names are `base_model.model.` + the
module's path + `lora_A.weight`, `lora_B.weight`, ...; a tensor named after a module alone replaces the base's.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from suture.checkpoint.adapted import Adapted, Shifted
from suture.checkpoint.adapter_folder import CONFIG_NAME, WEIGHTS_NAME, is_adapter, read_adapter
from suture.checkpoint.header import Checkpoint, TensorInfo
from suture.checkpoint.opened import FLOAT_DTYPES
from suture.checkpoint.source import Input
from suture.checkpoint.token_rows import identity_map, mapped
from suture.errors import IncompatibleError, Problem, refuse

__all__ = ["CONFIG_NAME", "PREFIX", "WEIGHTS_NAME", "TensorNames", "apply_adapter", "is_adapter", "read_adapter"]

PREFIX = "base_model.model."
SHOWN = 8
TOKEN_ROWS = ".token_adapter.trainable_tokens_delta"

_PARTS = {
    "a": ("lora_A.weight", "lora_embedding_A"),
    "b": ("lora_B.weight", "lora_embedding_B"),
    "magnitude": ("lora_magnitude_vector", "lora_magnitude_vector.weight"),
    "shift": ("lora_B.bias",),
    "base": ("base_layer.weight",),
}
_WRAPPERS = frozenset({"model", "language_model", "base_model", "transformer"})


@dataclass
class _Module:
    """What an adapter holds for one module."""

    name: str
    a: TensorInfo | None = None
    b: TensorInfo | None = None
    magnitude: TensorInfo | None = None
    shift: TensorInfo | None = None
    base: TensorInfo | None = None
    embedding: bool = False


def apply_adapter(tensors: Mapping[str, Input], adapter: Checkpoint) -> dict[str, Input]:
    """Return the base's `tensors` in their order, with `adapter` on those that it names.

    A tensor under modules_to_save, and a trained bias, is the adapter's own. Raises IncompatibleError naming all that
    does not fit: tensors that the base lacks, shapes, ranks against the config, dtypes, names of no known meaning.
    """
    where = str(adapter.path / WEIGHTS_NAME)
    names = TensorNames(tensors)
    problems: list[Problem] = []
    missing: list[str] = []
    found: dict[str, Input] = {}
    modules, whole, tokens = _grouped(adapter.tensors)
    for path, info in whole.items():
        name = names.find(path)
        if name is None:
            missing.append(path)
        elif info.shape != tensors[name].shape:
            must = f"'{name}' must have the base's shape {list(tensors[name].shape)}."
            problems.append(Problem(must, str(list(info.shape)), where, _advice(path)))
        else:
            found[name] = info
    for module in modules.values():
        weight = names.find(f"{module.name}.weight")
        if weight is None:
            missing.append(f"{module.name}.weight")
            continue
        adapted = _adapted(found.get(weight, tensors[weight]), weight, module, adapter.config, where)
        if isinstance(adapted, Problem):
            problems.append(adapted)
            continue
        found[weight] = adapted
        if module.shift is not None:
            bias = names.find(f"{module.name}.bias")
            if bias is None or tensors[bias].shape != module.shift.shape:
                got = "none" if bias is None else str(list(tensors[bias].shape))
                problems.append(Problem(f"A bias of an adapter needs one of {weight} in the base.", got, where))
            else:
                found[bias] = Shifted(found.get(bias, tensors[bias]), module.shift, adapted.scale)
    for path, info in tokens.items():
        weight = names.find(f"{path}.weight")
        if weight is None:
            missing.append(f"{path}.weight")
            continue
        trained = _with_tokens(found.get(weight, tensors[weight]), weight, path, info, adapter.config, where)
        if isinstance(trained, Problem):
            problems.append(trained)
        else:
            found[weight] = trained
    problems += _missing_problems(missing, names, where)
    problems += _dtype_problems(adapter.tensors.values(), where)
    if not found and not problems:
        problems.append(Problem("An adapter must change a tensor.", "no tensor", where))
    refuse(IncompatibleError, problems)
    return {name: found.get(name, given) for name, given in tensors.items()}


class TensorNames:
    """The base's tensor names, found by the paths of modules in memory, which may be wrapped otherwise than the file's.

    First the name itself, then the only one that ends in it, then the only one that is equal without wrappers such as
    `model` and `language_model`.
    """

    def __init__(self, names: Iterable[str]) -> None:
        self._all = list(names)
        self._set = set(self._all)
        self._bare: dict[str, list[str]] = {}
        for name in self._all:
            self._bare.setdefault(_bare(name), []).append(name)

    def find(self, path: str) -> str | None:
        """Return the tensor's name in the checkpoint, None where there is none or more than one."""
        if path in self._set:
            return path
        ending = [name for name in self._all if name.endswith(f".{path}")]
        if len(ending) == 1:
            return ending[0]
        bare = self._bare.get(_bare(path), [])
        return bare[0] if len(bare) == 1 and not ending else None


def _bare(name: str) -> str:
    return ".".join(part for part in name.split(".") if part not in _WRAPPERS)


def _grouped(
    tensors: Mapping[str, TensorInfo],
) -> tuple[dict[str, _Module], dict[str, TensorInfo], dict[str, TensorInfo]]:
    """Split into modules with low-rank factors, tensors that stand for the base's by their path, and the rows of single
    tokens by the path of their embedding.
    """
    tokens: dict[str, TensorInfo] = {}
    modules: dict[str, _Module] = {}
    whole: dict[str, TensorInfo] = {}
    for name, info in tensors.items():
        path = name.removeprefix(PREFIX)
        if path.endswith(TOKEN_ROWS):
            tokens[path.removesuffix(TOKEN_ROWS)] = info
            continue
        for part, endings in _PARTS.items():
            ending = next((e for e in endings if path.endswith(f".{e}")), None)
            if ending is not None:
                module = modules.setdefault(path.removesuffix(f".{ending}"), _Module(path.removesuffix(f".{ending}")))
                setattr(module, part, info)
                module.embedding |= ending.startswith("lora_embedding")
                break
        else:
            whole[path.replace(".base_layer.", ".")] = info
    return modules, whole, tokens


def _adapted(base: Input, weight: str, module: _Module, config: Mapping[str, Any], where: str) -> Adapted | Problem:
    """The source of one adapted tensor, or what is wrong with it."""
    a, b = module.a, module.b
    if a is None or b is None:
        return Problem("A module of an adapter must have both factors.", f"one of {weight}", where)
    if module.base is not None:
        if module.base.shape != base.shape:
            must = f"'{weight}' must have the base's shape {list(base.shape)}."
            return Problem(must, str(list(module.base.shape)), where, _advice(weight))
        base = module.base
    transposed = module.embedding or bool(config.get("fan_in_fan_out"))
    rank = a.shape[0] if a.shape else 0
    outputs, inputs = (
        (math.prod(base.shape[1:]), base.shape[0]) if transposed else (base.shape[0], math.prod(base.shape[1:]))
    )
    fits = len(base.shape) > 1 and rank > 0 and a.elements == rank * inputs and b.elements == outputs * rank
    if not fits or b.shape[0] != outputs:
        must = f"The factors of '{weight}' {list(base.shape)} must be (rank, {inputs}) and ({outputs}, rank)."
        return Problem(must, f"{list(a.shape)} and {list(b.shape)}", where, _advice(weight))
    if module.magnitude is not None and module.magnitude.elements != outputs:
        got = str(list(module.magnitude.shape))
        return Problem(f"The magnitudes of '{weight}' must be one an output, {outputs}.", got, where)
    if (module.magnitude is None) == bool(config.get("use_dora")):
        got = f"none of '{weight}'" if config.get("use_dora") else f"those of '{weight}'"
        return Problem(f"An adapter must have magnitudes where use_dora is set in {CONFIG_NAME}.", got, where)
    declared = _patterned(config.get("rank_pattern"), module.name, config.get("r"))
    if declared != rank:
        return Problem(f"The rank of '{weight}' must be the one of {CONFIG_NAME}, {declared}.", str(rank), where)
    alpha = _patterned(config.get("alpha_pattern"), module.name, config.get("lora_alpha", 8))
    if isinstance(alpha, bool) or not isinstance(alpha, int | float) or not math.isfinite(alpha):
        return Problem(f"lora_alpha of '{weight}' must be a number.", repr(alpha)[:60], where)
    scale = alpha / (math.sqrt(rank) if config.get("use_rslora") else rank)
    return Adapted(base, a, b, scale, transposed, module.magnitude)


def _with_tokens(
    base: Input, weight: str, module: str, rows: TensorInfo, config: Mapping[str, Any], where: str
) -> Input | Problem:
    """An embedding with the rows of single tokens from the adapter, or what is wrong with them."""
    listed = config.get("trainable_token_indices")
    if isinstance(listed, dict):
        listed = next((ids for name, ids in listed.items() if f".{module}".endswith(f".{name}")), None)
    rowed = isinstance(listed, list) and all(type(i) is int and 0 <= i < base.shape[0] for i in listed)
    if not isinstance(listed, list) or not rowed or len(set(listed)) != len(listed):
        must = f"trainable_token_indices of '{weight}' must be rows of it, below {base.shape[0]}, each once."
        return Problem(must, "others", where, _advice(weight))
    if rows.shape != (len(listed), *base.shape[1:]):
        must = f"The trained rows of '{weight}' must have the shape {[len(listed), *base.shape[1:]]}."
        return Problem(must, str(list(rows.shape)), where)
    places = {token: (1, row) for row, token in enumerate(listed)}
    return mapped(identity_map(0, base.shape[0]).with_rows(places), (base, rows))


def _patterned(patterns: Any, module: str, default: Any) -> Any:
    """The first value whose pattern fits the module's path or its end, as PEFT reads rank_pattern and alpha_pattern."""
    for pattern, value in (patterns or {}).items():
        if re.match(rf"(.*\.)?({pattern})$", module):
            return value
    return default


def _missing_problems(missing: list[str], names: TensorNames, where: str) -> Iterator[Problem]:
    if not missing:
        return
    some = ", ".join(missing[:SHOWN]) + (f" and {len(missing) - SHOWN} more" if len(missing) > SHOWN else "")
    heads = [name for name in missing if name.endswith(("lm_head.weight", "embed_out.weight"))]
    advice = "Name the base that the adapter was trained on."
    if heads:
        advice = "The base ties its head to its embedding: save it untied first, or train without the head."
    yield Problem("The base must hold every tensor that an adapter changes.", f"none of {some}", where, advice)


def _dtype_problems(infos: Iterable[TensorInfo], where: str) -> Iterator[Problem]:
    others = [info for info in infos if info.dtype not in FLOAT_DTYPES]
    if others:
        got = ", ".join(f"{info.name} in {info.dtype}" for info in others[:SHOWN])
        yield Problem(f"The tensors of an adapter must be {', '.join(FLOAT_DTYPES)}.", got, where)


def _advice(path: str) -> str:
    if "embed" in path or "lm_head" in path:
        return "It was trained with tokens of its own: resize the base's vocabulary first."
    return "Name the base that the adapter was trained on."
