"""What a merge method declares, and the three shapes that it can have; the shape is all that the engine needs.

    span          coefficients of a sum, from the Gram matrix of the inputs at most
    elementwise   each output element from the same element of every input, and from sums over the tensor
    matrix        whole matrices at once

A whole-tensor function follows from each shape (`suture.methods.registry.whole_tensor`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from suture.methods.gram import Gram
from suture.methods.parameters import Parameter

Block: TypeAlias = Any
"""A contiguous one-dimensional float32 array of the backend: numpy's for the kernels, torch's for the numerics."""

Sums: TypeAlias = NDArray[np.float64]


class Steps(Protocol):
    """The steps that a method may call; `suture.kernels` and `suture.numerics.steps` supply them."""

    SEGMENT: int

    def empty_like(self, block: Block) -> Block:
        """A new block of the same length."""

    def weighted_sum(self, blocks: Sequence[Block], coefficients: Sequence[float], out: Block) -> None:
        """sum_i a_i x_i."""

    def gram_segment(self, blocks: Sequence[Block], anchor: int) -> Sums:
        """Gram matrix of the anchored set, over one segment."""

    def thinned(self, values: Block, base: Block, key: np.uint64, start: int, density: float) -> Block:
        """`values` where a keyed draw keeps the element, `base` elsewhere."""

    def l1_distance(self, x: Block, y: Block) -> float:
        """Sum of |x - y| over one segment."""

    def nearswap(self, base: Block, x: Block, threshold: float, out: Block) -> None:
        """The nearswap interpolation."""


@dataclass(frozen=True, slots=True)
class Blocks:
    """One stretch of one tensor of every input.

    inputs: the base first where the method has one. start: index of the first element within the tensor. keys: one for
    each non-base input.
    """

    inputs: Sequence[Block]
    start: int
    keys: tuple[np.uint64, ...] = ()


def _nothing_wrong(parameters: Mapping[str, Any]) -> list[str]:
    return []


@dataclass(frozen=True, slots=True)
class MethodInfo:
    """The declaration of a method: validation, messages, help, documentation and tests are made from it.

    paper: citation with the section that fixes the formula. deviations: where we differ, and why. laws: names of laws
    in tests/laws that hold. min_inputs, max_inputs: the number of inputs, the base included (None: any). check: what is
    wrong with the parameters taken together (keyed as the method takes them), as sentences.
    """

    name: str
    shape: Literal["span", "elementwise", "matrix"]
    summary: str
    paper: str
    formula: str
    deviations: str
    parameters: tuple[Parameter, ...]
    laws: tuple[str, ...]
    min_inputs: int
    max_inputs: int | None
    base: Literal["required", "none"]
    check: Callable[[Mapping[str, Any]], list[str]] = _nothing_wrong

    @property
    def first_model(self) -> int:
        """Index of the first input that per-model parameters and keys speak of: 1 after a base, else 0."""
        return 1 if self.base == "required" else 0


@dataclass(frozen=True, slots=True)
class SpanMethod:
    """output = sum_i a_i x_i over all inputs.

    weights(gram, inputs, **parameters) gives the coefficients, one for each of `inputs` inputs. needs_gram: whether it
    reads the Gram matrix (anchored at input 0); without, it gets None. takes_arc: whether a tensor leaves the straight
    line between its inputs (None where the method never does).
    """

    info: MethodInfo
    weights: Callable[..., tuple[float, ...]]
    needs_gram: bool = False
    takes_arc: Callable[[Gram], bool] | None = None


@dataclass(frozen=True, slots=True)
class Reduction:
    """Sums over a tensor: measure(steps, blocks, **parameters) of each segment of SEGMENT elements, added in order.

    `measure` gives a float64 array, always of the same shape.
    """

    name: str
    measure: Callable[..., Sums]


@dataclass(frozen=True, slots=True)
class ElementwiseMethod:
    """Each output element from the same element of every input, and from sums over the tensor.

    statistics(**parameters) names the sums. combine(steps, blocks, statistics, out, **parameters), with `statistics` a
    mapping from their names to their values, writes any stretch of the output into `out`.
    """

    info: MethodInfo
    statistics: Callable[..., tuple[Reduction, ...]]
    combine: Callable[..., None]


@dataclass(frozen=True, slots=True)
class MatrixMethod:
    """output = matrix(tensors, **parameters), a new float32 tensor of the inputs' shape.

    memory(shape, inputs) is its peak in bytes, the inputs apart.
    """

    info: MethodInfo
    matrix: Callable[..., Block]
    memory: Callable[[tuple[int, ...], int], int]


Method: TypeAlias = SpanMethod | ElementwiseMethod | MatrixMethod
