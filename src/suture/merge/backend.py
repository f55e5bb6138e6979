"""Where blocks are computed: the numba kernels on the CPU, or their PyTorch twins on any device."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from suture import kernels
from suture.errors import Problem, ResourceError, UsageError
from suture.methods.shapes import Block, Steps, Sums

Floats = NDArray[np.float32]


class Backend(Protocol):
    """Takes stored bits to blocks of its own, runs a method's steps on them, and brings the result back."""

    steps: Steps
    block_elements: int
    fused: bool

    def wide(self, raw: NDArray[Any], dtype: str, out: Floats) -> Block:
        """Stored bits of `dtype` as a float32 block; `out` may serve as its memory."""

    def given(self, values: Floats) -> Block:
        """Float32 values as a block."""

    def empty(self, out: Floats) -> Block:
        """A block for a result as long as `out`, which may serve as its memory."""

    def host(self, values: Block) -> Floats:
        """A block as numpy sees it."""

    def finish(
        self,
        values: Block,
        ends: tuple[Block, Block],
        dtype: str,
        *,
        rounding: str,
        key: np.uint64,
        start: int,
        stored: NDArray[Any],
        back: Floats,
        sums: Sums,
    ) -> None:
        """Round `values` into `stored`, leave what was stored in `back`, add the realised sums."""

    def nonfinite(self, blocks: Sequence[Block]) -> list[int]:
        """How many elements of each block are NaN or infinite."""


class KernelBackend:
    """The CPU path: numpy arrays and numba loops, no torch."""

    steps: Steps = kernels
    block_elements = 2 * kernels.SEGMENT
    fused = True

    def __init__(self) -> None:
        """Let numba set itself up, which it does at the first call of any loop."""
        kernels.count_nonfinite(np.zeros(1, np.float32))

    def wide(self, raw: NDArray[Any], dtype: str, out: Floats) -> Floats:
        """Widen into `out`."""
        kernels.widen(raw, dtype, out)
        return out

    def given(self, values: Floats) -> Floats:
        """The array itself."""
        return values

    def empty(self, out: Floats) -> Floats:
        """`out` itself."""
        return out

    def host(self, values: Floats) -> Floats:
        """The array itself."""
        return values

    def finish(
        self,
        values: Floats,
        ends: tuple[Floats, Floats],
        dtype: str,
        *,
        rounding: str,
        key: np.uint64,
        start: int,
        stored: NDArray[Any],
        back: Floats,
        sums: Sums,
    ) -> None:
        """See Backend."""
        kernels.finish(values, *ends, dtype, rounding=rounding, key=key, start=start, out=stored, back=back, sums=sums)

    def nonfinite(self, blocks: Sequence[Floats]) -> list[int]:
        """See Backend."""
        return [kernels.count_nonfinite(block) for block in blocks]


class TorchBackend:
    """The PyTorch twins on `device`, with blocks large enough to keep a GPU busy."""

    fused = False

    def __init__(self, device: str, block_elements: int = 1 << 22) -> None:
        import torch

        from suture.numerics import steps

        self._torch = torch
        self._device = torch.device(device)
        self.steps: Steps = steps
        self.block_elements = block_elements

    def wide(self, raw: NDArray[Any], dtype: str, out: Floats) -> Block:
        """Move the stored bits, then widen on the device."""
        signed = raw.view(np.int32 if raw.itemsize == 4 else np.int16)
        bits = self._torch.from_numpy(signed).to(self._device, copy=True)
        block = self._torch.empty(raw.size, dtype=self._torch.float32, device=self._device)
        self._steps.widen(bits, dtype, block)
        return block

    def given(self, values: Floats) -> Block:
        """Copy to the device."""
        return self._torch.from_numpy(values).to(self._device, copy=True)

    def empty(self, out: Floats) -> Block:
        """Memory on the device."""
        return self._torch.empty(out.size, dtype=self._torch.float32, device=self._device)

    def host(self, values: Block) -> Floats:
        """Copy from the device."""
        array: Floats = values.cpu().numpy()
        return array

    def finish(
        self,
        values: Block,
        ends: tuple[Block, Block],
        dtype: str,
        *,
        rounding: str,
        key: np.uint64,
        start: int,
        stored: NDArray[Any],
        back: Floats,
        sums: Sums,
    ) -> None:
        """See Backend."""
        steps, torch = self._steps, self._torch
        whole = torch.empty(
            stored.size, dtype=torch.int32 if stored.itemsize == 4 else torch.int16, device=self._device
        )
        wide = torch.empty_like(values)
        steps.finish(values, *ends, dtype, rounding=rounding, key=key, start=start, out=whole, back=wide, sums=sums)
        stored[:] = whole.cpu().numpy().view(stored.dtype)
        back[:] = wide.cpu().numpy()

    def nonfinite(self, blocks: Sequence[Block]) -> list[int]:
        """See Backend."""
        return [self._steps.count_nonfinite(block) for block in blocks]

    @property
    def _steps(self) -> Any:
        return self.steps


def choose_backend(device: str) -> Backend:
    """Return the kernels for "cpu", the twins for any other device that torch knows ("cuda", "cuda:1", "mps").

    Raises UsageError for a device that torch does not know, ResourceError for one that is not there.
    """
    if device == "cpu":
        return KernelBackend()
    import torch

    must = "The device must be cpu or one that torch can use."
    try:
        torch.empty(1, device=device)
    except RuntimeError as error:
        unknown = "device type" in str(error) or "Invalid device" in str(error)
        kind = UsageError if unknown else ResourceError
        raise kind(Problem(must, f'"{device}", which torch refuses', "--device", "Use --device cpu.")) from None
    except AssertionError:  # what torch raises where it was built without CUDA
        raise ResourceError(
            Problem(must, f'"{device}", and a torch without it', "--device", "Use --device cpu.")
        ) from None
    return TorchBackend(device)
