"""derive(plan, name): the bytes of one output tensor, made once more from the parents, for an auditor to compare."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

from suture.checkpoint.reader import TensorReader
from suture.kernels.streams import IN_MEMORY
from suture.merge.backend import KernelBackend
from suture.merge.buffers import Desk
from suture.merge.evaluation import Evaluation
from suture.merge.streaming import reader_lookup
from suture.merge.unit import FUSED_BLOCK, UnitWork
from suture.plan import Plan


class _Collecting:
    """A sink that keeps what it is given until it is asked."""

    def __init__(self) -> None:
        self.held: list[bytes] = []

    def take(self, name: str, start: int, data: memoryview) -> None:
        self.held.append(bytes(data))

    def room(self, name: str, start: int, nbytes: int) -> None:
        return None

    def descriptor(self, name: str) -> int:
        return IN_MEMORY

    def offset(self, name: str) -> int:
        return 0


def derive(plan: Plan, name: str) -> Iterator[bytes]:
    """Yield the bytes of output tensor `name` in order, some MiB at a time. KeyError where the plan has none."""
    job = plan.by_name[name]
    sink, desk = _Collecting(), Desk(FUSED_BLOCK)
    with ExitStack() as stack:
        readers = [stack.enter_context(TensorReader(checkpoint)) for checkpoint in plan.checkpoints]
        evaluation = Evaluation(job, reader_lookup(readers), KernelBackend(), plan.recipe.seed)
        evaluation.run_passes(desk)
        work = UnitWork(evaluation, sink, rounding=plan.recipe.rounding, seed=plan.recipe.seed, digests=False)
        for unit in plan.layout.units_of[name]:
            work.run(unit.start, unit.count, desk)
            yield from sink.held
            sink.held.clear()
