"""The geometry of two models, before anything is merged: how far apart, in which directions, what rounding leaves.

One pass over the files. Distances and angles come from Gram matrices in float64 over the anchored set, as everywhere;
the realised coefficient is what rounding to nearest would truly leave of a linear merge in the first model's dtype.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from suture import events, kernels
from suture.architecture import architecture_of
from suture.checkpoint.header import DTYPE_BYTES, Checkpoint, TensorInfo, read_checkpoint
from suture.checkpoint.reader import TensorReader
from suture.errors import IncompatibleError, Problem, refuse
from suture.methods.gram import Gram
from suture.methods.slerp import takes_arc

COEFFICIENTS = tuple(round(0.1 * step, 1) for step in range(1, 10))
"""Nominal coefficients at which the effect of rounding to nearest is measured."""

FLOATS = {"F32": np.uint32, "F16": np.uint16, "BF16": np.uint16}
KEY = np.uint64(0)


@dataclass(frozen=True)
class Geometry:
    """Sums over some tensors. gram: anchored at the first of (base, a, b), or of (a, b) without a base.

    conflicts: elements whose task vectors differ in sign; both: elements where neither is 0. rounded: (9, 3) sums of
    the realised coefficient, one row for each of COEFFICIENTS. arcs: tensors on which slerp leaves the straight line.
    """

    name: str
    elements: int
    tensors: int
    arcs: int
    gram: Gram
    based: bool
    conflicts: int
    both: int
    rounded: NDArray[np.float64]

    @property
    def distance(self) -> float:
        """|b - a| / |a|."""
        a, b = (1, 2) if self.based else (0, 1)
        square = self.gram.delta_dot(a, a) + self.gram.delta_dot(b, b) - 2 * self.gram.delta_dot(a, b)
        return math.sqrt(max(square, 0.0)) / self.gram.norm(a) if self.gram.norm(a) else math.nan

    @property
    def cosine(self) -> float:
        """Cosine of the two models, as vectors."""
        a, b = (1, 2) if self.based else (0, 1)
        norms = self.gram.norm(a) * self.gram.norm(b)
        return float(self.gram.dot(a, b) / norms) if norms else math.nan

    @property
    def task_cosine(self) -> float | None:
        """Cosine of the task vectors a - base and b - base; None without a base, NaN where one of them is 0."""
        if not self.based:
            return None
        norms = self.gram.delta_norm(1) * self.gram.delta_norm(2)
        return float(self.gram.delta_dot(1, 2) / norms) if norms else math.nan

    @property
    def sign_conflict(self) -> float | None:
        """Share of elements, of those where both task vectors are not 0, on which their signs differ."""
        if not self.based:
            return None
        return self.conflicts / self.both if self.both else math.nan

    @property
    def realised(self) -> tuple[float, ...]:
        """What rounding to nearest leaves of each of COEFFICIENTS; NaN where a equals b."""
        square = self.rounded[:, 0]
        with np.errstate(invalid="ignore", divide="ignore"):
            return tuple(((self.rounded[:, 1] + self.rounded[:, 2]) / square).tolist())


@dataclass(frozen=True)
class Inspection:
    """Two models seen together: tensor by tensor, layer by layer, and whole; what could not be compared, by name."""

    models: tuple[str, ...]
    tensors: tuple[Geometry, ...]
    layers: tuple[Geometry, ...]
    whole: Geometry
    left_out: tuple[str, ...]


def inspect_models(a: Path, b: Path, base: Path | None = None, *, workers: int | None = None) -> Inspection:
    """Read folders `a` and `b` (and their common `base`) once and return their geometry.

    Compared are float tensors of one name and shape. Raises BadInputError for what is no checkpoint, IncompatibleError
    where no tensor can be compared.
    """
    folders = [*([base] if base is not None else []), a, b]
    checkpoints = [read_checkpoint(folder) for folder in folders]
    names = [name for name in checkpoints[0].tensors if _comparable(name, checkpoints)]
    left_out = sorted({n for c in checkpoints for n in c.tensors}.difference(names))
    if not names:
        must = "Two models must have float tensors of one name and shape."
        refuse(IncompatibleError, [Problem(must, "none in common", ", ".join(map(str, folders)))])
    architecture = architecture_of(checkpoints[-1].config, names)
    with ExitStack() as stack:
        readers = [stack.enter_context(TensorReader(checkpoint)) for checkpoint in checkpoints]
        total = sum(c.tensors[name].nbytes for c in checkpoints for name in names)
        advance = stack.enter_context(events.track("inspect", total, "B"))

        def measure(name: str) -> Geometry:
            infos = [checkpoint.tensors[name] for checkpoint in checkpoints]
            found = _measure(name, infos, readers)
            advance(sum(info.nbytes for info in infos))
            return found

        with ThreadPoolExecutor(workers or os.cpu_count() or 1) as pool:
            tensors = tuple(pool.map(measure, names))
        for reader in readers:
            reader.check_unchanged()
    groups: dict[str, list[Geometry]] = {}
    for tensor in tensors:
        spot = architecture.spot(tensor.name)
        groups.setdefault(f"layer {spot.layer}" if spot.layer is not None else tensor.name, []).append(tensor)
    layers = tuple(_together(name, parts) for name, parts in groups.items())
    return Inspection(tuple(map(str, folders)), tensors, layers, _together("all", tensors), tuple(left_out))


def _comparable(name: str, checkpoints: Sequence[Checkpoint]) -> bool:
    infos = [checkpoint.tensors.get(name) for checkpoint in checkpoints]
    present = [info for info in infos if info is not None and info.dtype in FLOATS]
    return len(present) == len(infos) and len({info.shape for info in present}) == 1 and present[0].elements > 0


def _measure(name: str, infos: Sequence[TensorInfo], readers: Sequence[TensorReader]) -> Geometry:
    gram = np.zeros((len(infos),) * 2)
    rounded = np.zeros((len(COEFFICIENTS), 3))
    conflicts = both = 0
    size = min(kernels.SEGMENT, infos[0].elements)
    raws = [np.empty(size, FLOATS[info.dtype]) for info in infos]
    wide = [np.empty(size, np.float32) for _ in infos]
    out, back = np.empty(size, np.float32), np.empty(size, np.float32)
    dtype = infos[-2].dtype
    stored = np.empty(size, FLOATS[dtype])
    for start in range(0, infos[0].elements, size):
        count = min(size, infos[0].elements - start)
        blocks = []
        for info, reader, raw, block in zip(infos, readers, raws, wide, strict=True):
            reader.read_into(info, start * DTYPE_BYTES[info.dtype], raw[:count].data.cast("B"))
            kernels.widen(raw[:count], info.dtype, block[:count])
            blocks.append(block[:count])
        gram += kernels.gram_segment(blocks, 0)
        if len(infos) == 3:
            opposed, present = kernels.sign_conflicts(*blocks)
            conflicts, both = conflicts + opposed, both + present
        ends = blocks[-2], blocks[-1]
        for row, a in enumerate(COEFFICIENTS):
            kernels.weighted_sum(ends, (1.0 - a, a), out[:count])
            kernels.finish(
                out[:count],
                *ends,
                dtype,
                rounding="nearest",
                key=KEY,
                start=start,
                out=stored[:count],
                back=back[:count],
                sums=rounded[row],
            )
    return Geometry(
        name,
        infos[0].elements,
        1,
        int(takes_arc(_pair(gram))),
        Gram(gram, 0),
        len(infos) == 3,
        conflicts,
        both,
        rounded,
    )


def _pair(gram: NDArray[np.float64]) -> Gram:
    """The Gram matrix of (a, b) alone, anchored at a."""
    if len(gram) == 2:
        return Gram(gram, 0)
    whole = Gram(gram, 0)
    square, dot = whole.dot(1, 1), whole.dot(1, 2)
    apart = whole.delta_dot(1, 1) + whole.delta_dot(2, 2) - 2 * whole.delta_dot(1, 2)
    return Gram(np.array([[square, dot - square], [dot - square, apart]]), 0)


def _together(name: str, parts: Iterable[Geometry]) -> Geometry:
    """Sums of several tensors, in their order."""
    given = list(parts)
    return Geometry(
        name=name,
        elements=sum(part.elements for part in given),
        tensors=sum(part.tensors for part in given),
        arcs=sum(part.arcs for part in given),
        gram=Gram(np.sum([part.gram.matrix for part in given], axis=0), 0),
        based=given[0].based,
        conflicts=sum(part.conflicts for part in given),
        both=sum(part.both for part in given),
        rounded=np.sum([part.rounded for part in given], axis=0),
    )


def described(geometry: Geometry) -> dict[str, Any]:
    """Return what is known of some tensors as JSON; NaN is null."""
    numbers = {
        "distance": geometry.distance,
        "cosine": geometry.cosine,
        "task_cosine": geometry.task_cosine,
        "sign_conflict": geometry.sign_conflict,
    }
    return {
        "name": geometry.name,
        "elements": geometry.elements,
        "tensors": geometry.tensors,
        "arcs": geometry.arcs,
        **{key: None if value is None or math.isnan(value) else value for key, value in numbers.items()},
        "realised": [None if math.isnan(value) else value for value in geometry.realised],
    }
