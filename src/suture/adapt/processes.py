"""The processes that train one model together: one of them leads, and what one of them meets all of them learn.

Started by `accelerate launch` or `torchrun`, one process an accelerator. The first one (rank 0) claims, writes and
speaks; the others only train. An error that all have to learn of is raised on all of them; only the one on the leader
is to be shown (`SutureError.told` is set on the others).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

from suture.errors import Problem, SutureError, UsageError

T = TypeVar("T")
COUNTS = ("WORLD_SIZE", "OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "MV2_COMM_WORLD_SIZE")  # of torchrun and of MPI's launchers
SHARDED = {
    "ACCELERATE_USE_FSDP": "FSDP",
    "ACCELERATE_USE_DEEPSPEED": "DeepSpeed",
    "ACCELERATE_USE_MEGATRON_LM": "Megatron-LM",
    "ACCELERATE_USE_PARALLELISM_CONFIG": "a parallelism configuration",
}
PATIENCE = timedelta(hours=2)  # the others wait while the leader hashes the start or writes the result


@dataclass(frozen=True, slots=True)
class Processes:
    """This process among `count`, which train in step. All of them must make the same calls in the same order."""

    rank: int = 0
    count: int = 1

    @property
    def leads(self) -> bool:
        """Whether this one claims, writes and speaks."""
        return self.rank == 0

    def lead(self, action: Callable[[], T]) -> T:
        """Return on every process what `action` returns on the leader, which alone runs it; raise what it raises."""
        if self.count == 1:
            return action()
        import torch.distributed as dist

        error: Exception | None = None
        told: list[Any] = [None, None]
        if self.leads:
            try:
                told[0] = action()
            except Exception as caught:
                error = caught
                told = [None, _portable(caught)]
        dist.broadcast_object_list(told, src=0)
        self._raise(error or told[1])
        found: T = told[0]
        return found

    def together(self, action: Callable[[], T]) -> T:
        """Return what `action` returns here; where it fails on any process, raise the first one's error on all."""
        if self.count == 1:
            return action()
        error: Exception | None = None
        found: Any = None
        try:
            found = action()
        except Exception as caught:
            error = caught
        met = self.gather(None if error is None else _portable(error))
        self._raise((error if self.leads else None) or next((one for one in met if one is not None), None))
        kept: T = found
        return kept

    def gather(self, value: T) -> list[T]:
        """Return the value of every process, in order of rank."""
        if self.count == 1:
            return [value]
        import torch.distributed as dist

        found: list[Any] = [None] * self.count
        dist.all_gather_object(found, value)
        return found

    def mean(self, value: Any) -> float:
        """Return the mean over processes of a scalar tensor, the same bits on each of them."""
        if self.count > 1:
            import torch.distributed as dist

            value = value.detach().clone()
            dist.all_reduce(value)
            value /= self.count
        return float(value.item())

    def agreed(self, error: SutureError) -> SutureError:
        """Return an error that every process is about to raise, marked as told on all but the leader."""
        error.told = not self.leads
        return error

    @contextmanager
    def company(self) -> Iterator[None]:
        """Part from the others in order where the block ends, well or by an error that all of them have met."""
        try:
            yield
        except SutureError:
            self._part()
            raise
        self._part()

    def _part(self) -> None:
        if self.count > 1:
            import torch.distributed as dist

            dist.destroy_process_group()

    def _raise(self, error: Exception | None) -> None:
        if error is not None:
            raise self.agreed(error) if isinstance(error, SutureError) else error


ALONE = Processes()


def joined() -> Processes:
    """Return this process's place among those that were launched together, after meeting them; ALONE where none were.

    Raises UsageError where the launcher is to split the weights themselves among processes, which is not offered: what
    each of them holds is no model.
    """
    sharding = [name for key, name in SHARDED.items() if os.environ.get(key, "false").lower() in ("true", "1")]
    if sharding:
        must = "Every process must hold the whole model (accelerate's MULTI_GPU)."
        do = "Set distributed_type: MULTI_GPU; an adapter (--mode lora) saves memory."
        error = UsageError(Problem(must, ", ".join(sharding), "the launcher's configuration", do))
        error.told = int(os.environ.get("RANK") or 0) > 0  # they have not met yet
        raise error
    if max(int(os.environ.get(name) or 1) for name in COUNTS) == 1:
        return ALONE
    from accelerate import PartialState

    state = PartialState(cpu=without_accelerator(), timeout=PATIENCE)
    return Processes(state.process_index, state.num_processes)


def without_accelerator() -> bool:
    """Return whether this machine has processors alone, on which processes talk by gloo."""
    import torch

    return not torch.accelerator.is_available()


def _portable(error: Exception) -> SutureError:
    """Return what can be sent of an error: one of ours as it is, of another its class alone, free of any text."""
    if isinstance(error, SutureError):
        return error
    return SutureError(Problem("Every process must do its part.", f"{type(error).__name__} on another process"))
