"""Puts tensors that carry the names of a checkpoint into the parameters of a loaded transformers model, in place."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any, Protocol

from suture.errors import IncompatibleError, Problem, refuse

_TORCH = {"F32": "float32", "F16": "float16", "BF16": "bfloat16"}


class Arriving(Protocol):
    """What is known of a tensor before it arrives."""

    @property
    def name(self) -> str:
        """Its name in a checkpoint."""

    @property
    def dtype(self) -> str:
        """Its dtype as safetensors names it."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Its shape."""


@dataclass
class _Joined:
    """A parameter that is made of several tensors: they gather until all are there."""

    converter: Any
    renamed: str
    parts: dict[str, Any] = field(default_factory=dict)
    patterns: dict[str, str] = field(default_factory=dict)
    missing: int = 0


class ParameterSink:
    """The sink of a live merge: `take` puts bytes where they belong. Threads share it.

    Raises IncompatibleError for tensors that no parameter of the model is made of, and for parameters that none of the
    tensors reaches.
    """

    def __init__(self, model: Any, arriving: Sequence[Arriving]) -> None:
        import torch

        self._torch = torch
        self._model = model
        self._arriving = {one.name: one for one in arriving}
        self._places: dict[str, Any] = {}
        self._joined: dict[str, _Joined] = {}
        self._left: dict[str, int] = {}
        self._lock = threading.Lock()
        self._find_places()

    def begin(self) -> None:
        """Expect every tensor anew."""
        self._left = {name: self._nbytes(name) for name in self._joined}

    def offset(self, name: str) -> int:
        """Nothing is aligned to a file."""
        return 0

    def descriptor(self, name: str) -> int:
        """There is no file."""
        return -1

    def room(self, name: str, start: int, nbytes: int) -> memoryview | None:
        """The memory of bytes `start` to `start + nbytes` of the parameter, where a tensor may be written at once."""
        place = self._places.get(name)
        if place is None or place.device.type != "cpu" or not place.is_contiguous():
            return None
        if place.dtype != getattr(self._torch, _TORCH.get(self._arriving[name].dtype, "float32")):
            return None
        whole = place.view(-1).view(self._torch.uint8)
        return memoryview(whole.numpy())[start : start + nbytes]

    def take(self, name: str, start: int, data: memoryview) -> None:
        """Take the bytes of tensor `name` from byte `start` on."""
        if not len(data):
            return
        with self._torch.no_grad():
            values = self._torch.frombuffer(data, dtype=self._dtype(name))
            first = start // values.element_size()
            place = self._places.get(name)
            if place is None:
                place = self._part(name)
            place.view(-1)[first : first + values.numel()].copy_(values)
            if name in self._joined:
                self._gathered(name, len(data))

    def finish(self) -> None:
        """Check that everything arrived."""
        late = [name for name, left in self._left.items() if left]
        if late:
            raise RuntimeError(f"tensors that did not arrive whole: {', '.join(late[:8])}")

    # --- places ---------------------------------------------------------------------------------------------------

    def _find_places(self) -> None:
        from transformers.core_model_loading import WeightConverter, WeightRenaming, rename_source_key

        state = self._model.state_dict(keep_vars=True)
        mapping = _conversions(self._model)
        renamings = [one for one in mapping if isinstance(one, WeightRenaming)]
        converters = [one for one in mapping if isinstance(one, WeightConverter)]
        by_pattern = {pattern: one for one in converters for pattern in one.source_patterns}
        prefix = getattr(self._model, "base_model_prefix", "")
        unknown: list[str] = []
        joined: dict[str, _Joined] = {}
        for name in self._arriving:
            renamed, pattern = rename_source_key(name, renamings, converters, prefix, state)
            if pattern is not None:
                group = joined.setdefault(renamed, _Joined(by_pattern[pattern], renamed))
                group.patterns[name] = pattern
                group.missing += 1
                self._joined[name] = group
            elif renamed in state:
                self._places[name] = state[renamed].data
            else:
                unknown.append(name)
        problems = [Problem("Every tensor must reach a parameter of the model.", name) for name in unknown[:8]]
        problems += list(self._shape_problems())
        refuse(IncompatibleError, problems)

    def _shape_problems(self) -> Iterator[Problem]:
        for name, place in self._places.items():
            shape = tuple(self._arriving[name].shape)
            if tuple(place.shape) != shape:
                must = f"The parameter of '{name}' must have its shape {list(shape)}."
                yield Problem(must, str(list(place.shape)), "the loaded model")

    # --- joined parameters -------------------------------------------------------------------------------------------

    def _part(self, name: str) -> Any:
        """Memory for one tensor of a joined parameter, until the others are there."""
        group = self._joined[name]
        with self._lock:
            if name not in group.parts:
                group.parts[name] = self._torch.empty(self._arriving[name].shape, dtype=self._dtype(name))
            return group.parts[name]

    def _gathered(self, name: str, nbytes: int) -> None:
        group = self._joined[name]
        with self._lock:
            self._left[name] -= nbytes
            complete = len(group.parts) == group.missing and not any(self._left[one] for one in group.parts)
            if not complete:
                return
            parts, group.parts = group.parts, {}
        self._join(group, parts)

    def _join(self, group: _Joined, parts: dict[str, Any]) -> None:
        """Let transformers join the tensors as it does when it loads a checkpoint."""
        from transformers.core_model_loading import dot_natural_key

        converter = deepcopy(group.converter)
        for name in sorted(parts, key=dot_natural_key):
            converter.add_tensor(group.renamed, name, group.patterns[name], parts[name])
        state = self._model.state_dict(keep_vars=True)
        made = converter.convert(group.renamed, model=self._model, config=self._model.config)
        for target, value in made.items():
            state[target].data.copy_(value[0] if isinstance(value, list) else value)

    def _dtype(self, name: str) -> Any:
        from suture.checkpoint.header import DTYPE_BYTES

        dtype = self._arriving[name].dtype
        known = _TORCH.get(dtype) or {"I64": "int64", "I32": "int32", "BOOL": "bool", "U8": "uint8"}.get(dtype)
        if known is None:
            raise IncompatibleError(Problem("A buffer must be of a dtype that torch has.", dtype, name))
        assert DTYPE_BYTES[dtype]
        return getattr(self._torch, known)

    def _nbytes(self, name: str) -> int:
        count = 1
        for extent in self._arriving[name].shape:
            count *= extent
        return count * int(self._dtype(name).itemsize)


def _conversions(model: Any) -> list[Any]:
    """The transforms with which transformers loaded the model, or would load it."""
    found = getattr(model, "_weight_conversions", None)
    if found is None:
        from transformers.conversion_mapping import get_model_conversion_mapping

        found = get_model_conversion_mapping(model)
    return list(found or [])
