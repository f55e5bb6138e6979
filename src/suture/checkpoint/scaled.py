"""Which tensors of a checkpoint are fp8, where their scales stand, and how both are read as float32.

Three ways of writing them are known, and all mean w = q s: `X.weight_scale_inv` with blocks of
`quantization_config.weight_block_size` (DeepSeek, Qwen), `X.weight_scale` for a tensor, each output channel or each
block (compressed-tensors, modelopt, fbgemm), and fp8 without any scale. Every other quantised form is refused.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from suture.checkpoint.header import Checkpoint, TensorInfo
from suture.checkpoint.reader import TensorReader
from suture.checkpoint.source import OpenSource, ReaderOf
from suture.errors import BadInputError, Problem, refuse
from suture.numerics.fp8 import TABLES, scale_blocks, widen_fp8

FP8 = ("F8_E4M3", "F8_E5M2")
SHOWN = 8
SCALE_DTYPES = ("F32", "BF16", "F16", "F8_E8M0")
METHODS = ("fp8", "compressed-tensors", "modelopt", "fbgemm_fp8")
"""Values of quantization_config.quant_method that may hold fp8 weights."""

APPLIED = "a scale, applied where the weight is read"
RUNTIME = "a scale of activations or of the key-value cache, which weights in full precision do not need"
_RUNTIME_SCALE = re.compile(r"(?:^|[._])(?:input|activation|output|prob|[qkv])_scale(?:_inv)?$")
_WEIGHT_SCALE = re.compile(r"_scale(?:_inv|_2)?$|\.scale_weight$|_zero_point$|_packed$|_shape$|_g_idx$")
_ADVICE = "Take the model in bfloat16, or de-quantise it with the library that quantised it."
Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Scaled:
    """One fp8 tensor: a stack of `matrices` of rows x columns, its scale (None: 1), and the block that shares one.

    grid is the shape (matrices or 1, down, across) in which the scale's elements lie.
    """

    weight: TensorInfo
    scale: TensorInfo | None
    matrices: int
    rows: int
    columns: int
    block: tuple[int, int]
    grid: tuple[int, int, int]


@dataclass(frozen=True)
class ScaledSet:
    """The fp8 tensors of a checkpoint by name, and the tensors that serve them (name -> what they are)."""

    weights: Mapping[str, Scaled]
    served: Mapping[str, str]


def find_scaled(checkpoint: Checkpoint) -> ScaledSet:
    """Return what is fp8 in `checkpoint`, from the headers alone.

    A quantization_config over float tensors (of what quantises while loading) is no matter here.
    Raises BadInputError, naming all at once: a quantisation that is not fp8, an fp8 tensor without the scale that a
    quantization_config promises, a scale of another shape or dtype, a scale without its tensor.
    """
    settings = _settings(checkpoint.config)
    where = str(checkpoint.path)
    method = str(settings.get("quant_method", "unnamed")).lower() if settings else ""
    fp8 = {name: info for name, info in checkpoint.tensors.items() if info.dtype in FP8}
    problems: list[Problem] = []
    if settings and fp8 and method not in METHODS:
        must = f"The quant_method of fp8 weights must be one of {', '.join(METHODS)}."
        problems.append(Problem(must, repr(method), where, _ADVICE))
    weights: dict[str, Scaled] = {}
    served: dict[str, str] = {}
    missing: list[str] = []
    misfits: list[Problem] = []
    for name, info in fp8.items():
        scale = _scale_of(name, checkpoint.tensors)
        found = _fit(info, scale, _block_size(settings))
        if scale is not None:
            served[scale.name] = APPLIED
        elif settings:
            missing.append(name)
        if isinstance(found, Problem):
            misfits.append(found)
        else:
            weights[name] = found
    if missing:
        got = f"none for {len(missing)} of {len(fp8)}: {_some(missing)}"
        problems.append(Problem("Each fp8 tensor must have its scale beside it.", got, where, "Fetch the model again."))
    if misfits:
        first = misfits[0]
        problems.append(Problem(first.must, f"{first.got} ({len(misfits)} such tensors)", first.where, first.do))
    if settings or fp8:
        others = _unpaired(checkpoint, served)
        if others:
            of = f" (quant_method {method!r})" if settings else ""
            got = f"{len(others)} others{of}: {_some(others)}"
            problems.append(Problem("Weights must be floats, or fp8 with their scales.", got, where, _ADVICE))
    refuse(BadInputError, problems)
    return ScaledSet(MappingProxyType(weights), MappingProxyType(served))


class ScaledReader:
    """Reads one fp8 tensor as float32 over the open files of a TensorReader; its scales are held, nothing else.

    Not for several threads at once: it reads into a buffer of its own.
    """

    def __init__(self, reader: TensorReader, scaled: Scaled) -> None:
        self.scaled = scaled
        self._reader = reader
        self._scales = None if scaled.scale is None else _read_scales(reader, scaled.scale, scaled)
        self._codes = np.empty(0, np.uint8)

    def read_f32(self, start: int, count: int, out: Floats) -> memoryview:
        """Put elements `start` to `start + count` into `out` (float32, at least that long), scaled.

        Returns the bytes as stored, for a digest; they are valid until the next call. A code or a scale that is NaN or
        infinite gives such values, which whoever merges counts.
        """
        if len(self._codes) < count:
            self._codes = np.empty(count, np.uint8)
        codes, values = self._codes[:count], out[:count]
        self._reader.read_into(self.scaled.weight, start, codes.data)
        widen_fp8(codes, self.scaled.weight.dtype, values)
        if self._scales is not None:
            at = self.scaled
            scale_blocks(values, start=start, rows=at.rows, columns=at.columns, scales=self._scales, block=at.block)
        return codes.data


@dataclass(frozen=True, slots=True)
class ScaledInput:
    """An fp8 tensor as an input of a merge: codes times scales, in float32."""

    scaled: Scaled

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the weight."""
        return self.scaled.weight.shape

    @property
    def dtype(self) -> str:
        """What a merge of such tensors is written as where the recipe names no dtype."""
        return "BF16"

    @property
    def stored(self) -> tuple[TensorInfo, ...]:
        """The codes, and the scales where there are any."""
        weight, scale = self.scaled.weight, self.scaled.scale
        return (weight,) if scale is None else (weight, scale)

    def open(self, reader_of: ReaderOf) -> OpenSource:
        """Read the scales and make the weight readable."""
        return _OpenScaled(ScaledReader(reader_of(self.scaled.weight), self.scaled))

    def describe(self) -> dict[str, object]:
        """What identifies it, as JSON."""
        return {"fp8": self.scaled.weight.dtype, "shape": self.shape, "scales": self.scaled.grid}


class _OpenScaled:
    def __init__(self, reader: ScaledReader) -> None:
        self._reader = reader

    def read_f32(self, start: int, out: Floats) -> None:
        self._reader.read_f32(start, len(out), out)


def _read_scales(reader: TensorReader, info: TensorInfo, scaled: Scaled) -> Floats:
    raw = np.empty(info.nbytes, np.uint8)
    reader.read_into(info, 0, raw.data)
    if info.dtype == "BF16":
        values = (raw.view("<u2").astype(np.uint32) << 16).view(np.float32)
    elif info.dtype == "F8_E8M0":
        values = TABLES[info.dtype][raw]
    else:
        values = raw.view("<f4" if info.dtype == "F32" else "<f2").astype(np.float32)
    return np.broadcast_to(values.reshape(scaled.grid), (scaled.matrices, *scaled.grid[1:]))


def _settings(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return quantization_config, which multimodal models keep with their language part."""
    places = [config, *(part for part in map(config.get, ("text_config", "llm_config")) if isinstance(part, dict))]
    for place in places:
        for key in ("quantization_config", "compression_config"):
            if isinstance(place.get(key), dict) and place[key]:
                return dict(place[key])
    return {}


def _block_size(settings: Mapping[str, Any]) -> tuple[int, int] | None:
    """Return rows and columns of a block, as `weight_block_size` or as a group of compressed-tensors states them."""
    size = settings.get("weight_block_size")
    if size is None:
        groups = settings.get("config_groups")
        for group in groups.values() if isinstance(groups, dict) else ():
            weights = group.get("weights") if isinstance(group, dict) else None
            if isinstance(weights, dict) and weights.get("strategy") == "block":
                size = weights.get("block_structure")
    if isinstance(size, list) and len(size) == 2 and all(type(n) is int and n > 0 for n in size):
        return size[0], size[1]
    return None


def _scale_of(name: str, tensors: Mapping[str, TensorInfo]) -> TensorInfo | None:
    stem = name.removesuffix("weight")
    places = (f"{name}_scale_inv", f"{name}_scale", f"{stem}scale_weight")
    return next((tensors[place] for place in places if place in tensors), None)


def _fit(weight: TensorInfo, scale: TensorInfo | None, block: tuple[int, int] | None) -> Scaled | Problem:
    """Return how the scale's elements lie over the weight's, or what is wrong with them."""
    shape = (1, 1, *weight.shape)
    rows, columns, lead = shape[-2], shape[-1], weight.shape[:-2]
    matrices = math.prod(lead)
    if scale is None:
        return Scaled(weight, None, matrices, rows, columns, (rows, columns), (1, 1, 1))
    where = f"{weight.file}, '{scale.name}'"
    if scale.dtype not in SCALE_DTYPES:
        return Problem(f"A scale must be one of {', '.join(SCALE_DTYPES)}.", scale.dtype, where, "Fetch it again.")
    choices: list[tuple[str, tuple[tuple[int, ...], ...], tuple[int, int], tuple[int, int, int]]] = []
    if block is not None and len(weight.shape) >= 2:
        down, across = -(-rows // block[0]), -(-columns // block[1])
        what = f"one for each {block[0]} x {block[1]} block"
        choices.append((what, ((*lead, down, across),), block, (matrices, down, across)))
    else:
        whole = (rows, columns)
        choices.append(("one for the tensor", ((), (1,), (1,) * len(weight.shape)), whole, (1, 1, 1)))
        if lead:
            choices.append(("one for each matrix", (lead, (*lead, 1, 1)), whole, (matrices, 1, 1)))
        if len(weight.shape) >= 2:
            each = ((*lead, rows), (*lead, rows, 1))
            choices.append(("one for each output channel", each, (1, columns), (matrices, rows, 1)))
    for _, shapes, extent, grid in choices:
        if scale.shape in shapes:
            return Scaled(weight, scale, matrices, rows, columns, extent, grid)
    must = f"Scales of {list(weight.shape)} must be {', or '.join(choice[0] for choice in choices)}."
    return Problem(must, f"shape {list(scale.shape)}", where, "Fetch the model again; its config may be another's.")


def _unpaired(checkpoint: Checkpoint, served: dict[str, str]) -> list[str]:
    """Add the scales of the run time to `served`; return every other sign of quantisation, with its dtype."""
    others = []
    for name, info in checkpoint.tensors.items():
        if name in served:
            continue
        if _RUNTIME_SCALE.search(name):
            served[name] = RUNTIME
        elif _WEIGHT_SCALE.search(name) or (info.dtype in ("I8", "U8", "I32") and name.endswith("weight")):
            others.append(f"'{name}' {info.dtype}")
    return others


def _some(names: list[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more
