"""What a merge method declares, and the three shapes that it can have; the shape is all that the engine needs.

    span          coefficients of a sum, from the Gram matrix of the inputs at most
    elementwise   each output element from the same element of every input, and from sums over the tensor
    matrix        whole matrices at once

A whole-tensor function follows from each shape (`suture.methods.derived`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from suture.methods.gram import Gram
from suture.methods.masks import Remembered, Sparse
from suture.methods.parameters import Parameter

Block: TypeAlias = Any
"""A contiguous one-dimensional float32 array of the backend: numpy's for the kernels, torch's for the numerics."""

Sums: TypeAlias = NDArray[np.float64]

Counts: TypeAlias = NDArray[np.int64]


class Steps(Protocol):
    """The steps that a method may call; `suture.kernels` and `suture.numerics.steps` supply them."""

    SEGMENT: int

    def empty_like(self, block: Block) -> Block:
        """A new block of the same length."""

    def weighted_sum(self, blocks: Sequence[Block], coefficients: Sequence[float], out: Block) -> None:
        """sum_i a_i x_i."""

    def gram_segment(self, blocks: Sequence[Block], anchor: int) -> Sums:
        """Gram matrix of the anchored set, over one segment."""

    def gram_groups(self, blocks: Sequence[Block], anchor: int, columns: int, group: str) -> Sums:
        """Gram matrices (groups, n, n) of the anchored set, of each row or each column of whole rows."""

    def weighted_groups(
        self, blocks: Sequence[Block], coefficients: Sums, columns: int, group: str, first: int, out: Block
    ) -> None:
        """sum_i a_i x_i with a row of `coefficients` (groups, n) for each row or column; `first` row of the blocks."""

    def empty_rows(self, block: Block, rows: int) -> Block:
        """(rows, elements): as many new blocks like `block`."""

    def high_counts(self, x: Block, y: Block) -> Counts:
        """(2**15,): how many |x - y| have each high part (of 15 bits) of their 31 bits."""

    def low_counts(self, x: Block, y: Block, high: int) -> Counts:
        """(2**16,): how many |x - y| with that high part have each low part."""

    def coarse_counts(self, x: Block, y: Block, high: int) -> Counts:
        """(4,): how many have that high part and the low part 0, 2**14, 2 * 2**14, 3 * 2**14."""

    def equal_count(self, x: Block, y: Block, bits: int) -> int:
        """How many |x - y| have exactly these bits."""

    def place_of(self, x: Block, y: Block, bits: int, count: int) -> int:
        """The least i such that `count` of the |x - y| before i have exactly these bits."""

    def kept_by_rank(self, x: Block, base: Block, bounds: Sequence[tuple[int, int]], out: Block) -> None:
        """`x` where |x - base| lies inside the first bound (bits, cut) and outside the second, `base` elsewhere."""

    def thinned(self, values: Block, base: Block, key: np.uint64, start: int, density: float, out: Block) -> None:
        """`values` where a keyed draw keeps the element, `base` elsewhere."""

    def thinned_by_rank(
        self,
        values: Block,
        base: Block,
        key: np.uint64,
        start: int,
        columns: int,
        density: float,
        epsilon: float,
        divided: bool,
        out: Block,
    ) -> None:
        """`values` where a draw of a probability that rises with the rank in the row keeps the element, else `base`."""

    def pack_kept(self, row: Block, base: Block, out: NDArray[np.uint8]) -> None:
        """A bit an element, lowest first: where `row` is not the base's own."""

    def unpack_kept(self, bits: NDArray[np.uint8], x: Block, base: Block, row: Block) -> None:
        """`x` where the bit is set, `base` elsewhere."""

    def elected(
        self,
        base: Block,
        kept: Block,
        weight: Sequence[float],
        factor: Sequence[float],
        lambda_: float,
        normalize: bool,
        out: Block,
        ballot: Sequence[float] | None = None,
    ) -> None:
        """base + lambda times the sum (mean, when normalised) of the weighted differences of the elected sign."""

    def kept_by_score(self, x: Block, base: Block, score: Block, bound: tuple[int, int], out: Block) -> None:
        """`x` where the bits of `score` (not negative) lie inside the bound, `base` elsewhere."""

    def variances(self, base: Block, models: Sequence[Block], out: Block) -> None:
        """The variance of the differences to the base at each place."""

    def importances(self, x: Block, base: Block, columns: int, out: Block) -> None:
        """|x - base| times the divergence of the softmax of its row from that of the base's."""

    def active_counts(self, base: Block, models: Sequence[Block], epsilon: float) -> Counts:
        """(2, models): at how many places each model alone, and with others, differs from the base by over epsilon."""

    def active_means(
        self, base: Block, models: Sequence[Block], epsilon: float, factors: Sequence[float], out: Block
    ) -> None:
        """base + the mean of the differences over epsilon; times the model's factor where it is the only one."""

    def l1_distances(self, x: Block, kept: Block, base: Block) -> tuple[float, float]:
        """Sums of |x - base| and of |kept - base| over one segment."""

    def nearswap(self, base: Block, x: Block, threshold: float, out: Block) -> None:
        """The nearswap interpolation."""


@dataclass(frozen=True, slots=True)
class Blocks:
    """One stretch of one tensor of every input.

    inputs: the base first where the method has one. start: index of the first element within the tensor, a multiple of
    SEGMENT, or of `columns` where the method asks for whole rows. keys: one for each non-base input. columns: the
    length of a row, that is of the tensor's last dimension (of the whole tensor where it has one dimension or none).
    elements: of the whole tensor. information: one further block for each non-base input, where the method asks for it.
    remembered: where masks may be kept from the pass that measures their L1 norms until blocks are combined.
    """

    inputs: Sequence[Block]
    start: int
    keys: tuple[np.uint64, ...] = ()
    columns: int = 0
    elements: int = 0
    information: Sequence[Block] = ()
    remembered: Remembered | None = None


def _nothing_wrong(parameters: Mapping[str, Any]) -> list[str]:
    return []


@dataclass(frozen=True, slots=True)
class MethodInfo:
    """The declaration of a method: validation, messages, help, documentation and tests are made from it.

    paper: citation, with the section or the name of what fixes the formula. deviations: where we differ, and why. laws:
    names of laws in tests/laws that hold. min_inputs, max_inputs: the number of inputs, the base included (None: any).
    base: whether the first input is one; "optional": where the recipe names one, which is then not counted, and the
    method tells by the number of its per-model values. information: the statistic of `suture calibrate` that each
    non-base input brings along (fisher: one value an element, of the tensor's own shape; gram: of the features that a
    matrix takes in). check: what is wrong with the parameters taken together (keyed as the method takes them), as
    sentences. tier: core (first in the documentation), compat (known from mergekit), contrib (everything else). helps,
    fails: when it does according to the literature, in a sentence each. example: values for an example recipe, by the
    names of the parameters.
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
    base: Literal["required", "none", "optional"]
    information: Literal["none", "fisher", "gram"] = "none"
    check: Callable[[Mapping[str, Any]], list[str]] = _nothing_wrong
    tier: Literal["core", "compat", "contrib"] = "contrib"
    helps: str = ""
    fails: str = ""
    example: Mapping[str, Any] = field(default_factory=dict)

    @property
    def first_model(self) -> int:
        """Index of the first input that per-model parameters and keys speak of: 1 after a base, else 0."""
        return 1 if self.base == "required" else 0


Group: TypeAlias = Literal["tensor", "row", "column"]
"""What shares one set of coefficients: the whole tensor, each row (vectors along the last dimension), each column."""


def _by_tensor(**parameters: Any) -> Group:
    return "tensor"


def _any_stretch(**parameters: Any) -> bool:
    return False


@dataclass(frozen=True, slots=True)
class SpanMethod:
    """output = sum_i a_i x_i over all inputs, in each group.

    weights(gram, inputs, **parameters) gives the coefficients, one for each of `inputs` inputs: floats, or, for groups
    of rows or columns, float64 arrays with one value a group (the Gram matrix is then one of arrays, see Gram).
    needs_gram: whether it reads the Gram matrix (anchored at input 0); without, it gets None. takes_arc: whether a
    tensor leaves the straight line between its inputs (None where the method never does). group: from the parameters;
    tensors with fewer than two dimensions are one group whatever it says. Row and column groups need the Gram matrix.
    """

    info: MethodInfo
    weights: Callable[..., tuple[Any, ...]]
    needs_gram: bool = False
    takes_arc: Callable[[Gram], bool] | None = None
    group: Callable[..., Group] = _by_tensor


def _as_it_is(sums: Sums | Counts | None, found: Mapping[str, Any], **parameters: Any) -> Any:
    return sums


def _always(found: Mapping[str, Any]) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Reduction:
    """What a method sums over a tensor before it combines.

    measure(steps, blocks, found, **parameters) gives an array (float64, or int64 for counts), always of the same shape,
    for one segment of SEGMENT elements (of whole rows of at least SEGMENT elements together where the method asks for
    whole rows). Those of all segments are added in order; with by = "segment" they are kept apart, stacked in order
    along a new first axis; with by = "count" they are integers, which may be added in any order and taken of any
    stretch of whole segments at once. conclude(sums, found, **parameters) makes of them what the method sees under
    `name`; it also gets elements=, the tensor's number of elements. after: reductions whose conclusions `found` must
    hold while this one is measured and concluded: they take an earlier pass over the inputs. All that wait for the same
    ones share one.
    needed(found): whether it has to be measured, given what the earlier passes found; where not, conclude gets None for
    the sums. norms: whether it measures the L1 norms of the task vectors, whole and masked as `sparse` of the method
    says: a loop over stored bits can take them.
    """

    name: str
    measure: Callable[..., Sums | Counts]
    after: tuple[str, ...] = ()
    by: Literal["sum", "segment", "count"] = "sum"
    conclude: Callable[..., Any] = _as_it_is
    needed: Callable[[Mapping[str, Any]], bool] = _always
    norms: bool = False


@dataclass(frozen=True, slots=True)
class ElementwiseMethod:
    """Each output element from the same element of every input, and from sums over the tensor.

    statistics(**parameters) names the reductions. combine(steps, blocks, statistics, out, **parameters), with
    `statistics` a mapping from their names to what they conclude, writes a stretch of the output into `out`: one whose
    start is a multiple of SEGMENT and which ends at one or at the end of the tensor. whole_rows(**parameters): whether
    blocks (of both) must hold whole rows instead; they then start at any multiple of the row's length. sparse: the same
    in the form of a sum of masked task vectors, where the method is one.
    """

    info: MethodInfo
    statistics: Callable[..., tuple[Reduction, ...]]
    combine: Callable[..., None]
    whole_rows: Callable[..., bool] = _any_stretch
    sparse: Sparse | None = None


@dataclass(frozen=True, slots=True)
class MatrixMethod:
    """output = matrix(tensors, **parameters), a new float32 tensor of the inputs' shape.

    Where info.information is not "none", `matrix` also gets information=, one tensor for each non-base input (None
    where a model has none for this tensor). memory(shape, inputs) is its peak in bytes, the inputs apart.
    """

    info: MethodInfo
    matrix: Callable[..., Block]
    memory: Callable[[tuple[int, ...], int], int]


Method: TypeAlias = SpanMethod | ElementwiseMethod | MatrixMethod
