"""What follows from a method's shape: its passes, and the function of whole tensors that no method writes itself."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import reduce
from typing import Any

import numpy as np

from suture.methods.gram import Gram
from suture.methods.shapes import (
    Block,
    Blocks,
    Counts,
    ElementwiseMethod,
    MatrixMethod,
    Method,
    Reduction,
    SpanMethod,
    Steps,
    Sums,
)
from suture.numerics.keys import model_keys


def whole_tensor(
    method: Method,
    tensors: Sequence[Block],
    *,
    params: Mapping[str, Any],
    name: str,
    seed: int,
    backend: Steps,
    information: Sequence[Block] = (),
) -> Block:
    """One merged float32 tensor of the inputs' shape, from whole tensors in memory.

    tensors: float32, of one shape, on the backend (numpy for `kernels`, torch for `numerics.steps`), the base first
    where the method has one. params: keyed as the method takes them, per-model ones as tuples. name, seed: key the
    draws of random methods. information: one tensor for each non-base input, where the method asks for it. The result
    equals the streamed merge bit for bit.
    """
    shape = tuple(tensors[0].shape)
    if isinstance(method, MatrixMethod):
        extra = {"information": list(information)} if method.info.information != "none" else {}
        return method.matrix(tensors, **extra, **params)
    whole = _as_blocks(
        method, tensors, shape, model_keys(seed, name, len(tensors) - method.info.first_model), information
    )
    out = backend.empty_like(whole.inputs[0])
    if isinstance(method, SpanMethod):
        _span(method, whole, shape, params, backend, out)
    else:
        length = segment_length(method, whole.columns, params, backend.SEGMENT)
        found = conclusions(method, lambda: _segments(whole, length), whole.elements, params, backend)
        method.combine(backend, whole, found, out, **params)
    return out.reshape(tensors[0].shape)


def _as_blocks(
    method: Method,
    tensors: Sequence[Block],
    shape: tuple[int, ...],
    keys: tuple[np.uint64, ...],
    information: Sequence[Block],
) -> Blocks:
    elements = math.prod(shape)
    columns = shape[-1] if len(shape) > 1 else elements
    flat = [tensor.reshape(-1) for tensor in tensors]
    return Blocks(flat, 0, keys, columns, elements, [tensor.reshape(-1) for tensor in information])


def segment_length(method: ElementwiseMethod, columns: int, params: Mapping[str, Any], segment: int) -> int:
    """Elements of one segment of the method's reductions: SEGMENT, or as many whole rows as reach it."""
    return row_stretch(columns, segment) if method.whole_rows(**params) else segment


def row_stretch(columns: int, segment: int) -> int:
    """Elements of as many whole rows as reach one segment."""
    return columns * -(-segment // columns) if columns else segment


def conclusions(
    method: ElementwiseMethod,
    segments: Callable[[], Iterable[Blocks]],
    elements: int,
    params: Mapping[str, Any],
    backend: Steps,
) -> dict[str, Any]:
    """What the method's reductions conclude, by name; `segments` makes one pass over the tensor, in order."""
    found: dict[str, Any] = {}
    for wave in waves(method.statistics(**params)):
        parts: dict[str, list[Sums | Counts]] = {reduction.name: [] for reduction in wave if reduction.needed(found)}
        for blocks in segments() if parts else ():
            for reduction in wave:
                if reduction.name in parts:
                    parts[reduction.name].append(reduction.measure(backend, blocks, found, **params))
        found |= conclude(wave, parts, found, elements, params)
    return found


def waves(reductions: Sequence[Reduction], concluded: Iterable[str] = ()) -> Iterator[tuple[Reduction, ...]]:
    """The reductions in the order of their passes: each pass holds those whose predecessors are all concluded.

    concluded: names of those that are so already, and take no pass.
    """
    done = set(concluded)
    left = [reduction for reduction in reductions if reduction.name not in done]
    while left:
        ready = tuple(reduction for reduction in left if done.issuperset(reduction.after))
        if not ready:
            raise ValueError(f"reductions wait for one another: {', '.join(r.name for r in left)}")
        yield ready
        done |= {reduction.name for reduction in ready}
        left = [reduction for reduction in left if reduction not in ready]


def conclude(
    wave: Sequence[Reduction],
    parts: Mapping[str, Sequence[Sums | Counts]],
    found: Mapping[str, Any],
    elements: int,
    params: Mapping[str, Any],
) -> dict[str, Any]:
    """What the reductions of one pass conclude from their segments' parts, in order; without parts where not needed."""
    return {
        reduction.name: reduction.conclude(
            _together(reduction, parts[reduction.name]) if reduction.name in parts else None,
            found,
            elements=elements,
            **params,
        )
        for reduction in wave
    }


def _together(reduction: Reduction, parts: Sequence[Sums | Counts]) -> Any:
    return np.stack(parts) if reduction.by == "segment" else _added(parts)


def _span(
    method: SpanMethod, whole: Blocks, shape: tuple[int, ...], params: Mapping[str, Any], backend: Steps, out: Block
) -> None:
    count = len(whole.inputs)
    group = method.group(**params) if len(shape) > 1 and whole.elements else "tensor"
    if group == "tensor":
        gram = _gram(whole, backend) if method.needs_gram else None
        backend.weighted_sum(whole.inputs, method.weights(gram, count, **params), out)
        return
    grams = grams_of(whole, group, backend)
    coefficients = np.stack(np.broadcast_arrays(*method.weights(Gram(grams, 0), count, **params)), axis=-1)
    backend.weighted_groups(whole.inputs, coefficients, whole.columns, group, 0, out)


def grams_of(whole: Blocks, group: str, backend: Steps) -> Sums:
    """Gram matrices (groups, n, n): of stretches of rows that reach SEGMENT, joined (rows) or added (columns)."""
    parts = [
        backend.gram_groups(part.inputs, 0, whole.columns, group)
        for part in _segments(whole, row_stretch(whole.columns, backend.SEGMENT))
    ]
    joined: Sums = np.concatenate(parts) if group == "row" else _added(parts)
    return joined


def _gram(blocks: Blocks, backend: Steps) -> Gram:
    parts = [backend.gram_segment(part.inputs, 0) for part in _segments(blocks, backend.SEGMENT)]
    return Gram(_added(parts), 0)


def _segments(blocks: Blocks, length: int) -> Iterator[Blocks]:
    for start in range(0, max(len(blocks.inputs[0]), 1), length):
        stretch = slice(start, start + length)
        yield replace(
            blocks,
            inputs=[block[stretch] for block in blocks.inputs],
            start=start,
            information=[block[stretch] for block in blocks.information],
        )


def _added(parts: Sequence[Any]) -> Any:
    return reduce(operator.add, parts)
