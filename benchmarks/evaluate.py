"""What an evaluation costs beside lm-evaluation-harness with its own model class, on the same items; prints one table.

    python benchmarks/evaluate.py MODEL --data DATA [--tasks medqa,hellaswag,mts_dialog] [--limit 16] [--rounds 3]

Both sides run the same task files of ours on the same model, device, precision and batch size, in one process, by
turns; each round loads the model, answers, and scores. Ours also keeps every item. The ratio is the median of rounds
of seconds here over seconds there: the goal is at most 1.05.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import logging
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from suture.evaluate.packaged import stay_offline
from suture.evaluate.run import evaluate_model
from suture.evaluate.suites import gather
from suture.evaluate.workload import Workload
from suture.tasks.registry import get_task
from suture.tasks.suites import task_file


def main() -> None:
    """Time every task by turns and print seconds and ratios."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--tasks", default="medqa,hellaswag,mts_dialog")
    parser.add_argument("--limit", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--batch", type=int, default=16)
    asked = parser.parse_args()
    stay_offline()
    os.environ["SUTURE_DATA"] = str(asked.data.absolute())
    logging.getLogger("lm_eval").setLevel(logging.CRITICAL)
    print(f"{asked.limit} items a task, batches of {asked.batch}, {asked.rounds} rounds\n")
    print(f"{'task':<24} {'ours (s)':>10} {'harness (s)':>12} {'ratio':>8}   rounds")
    for name in asked.tasks.split(","):
        (load,) = gather([get_task(name)], asked.data).work
        pairs = [by_turns(turn, asked.model, load, asked.limit, asked.batch) for turn in range(asked.rounds)]
        ratios = [one / two for one, two in pairs]
        here, there = (statistics.median(side) for side in zip(*pairs, strict=True))
        shown = " ".join(f"{ratio:.2f}" for ratio in ratios)
        print(f"{name:<24} {here:>10.1f} {there:>12.1f} {statistics.median(ratios):>8.2f}   {shown}", flush=True)


def by_turns(turn: int, model: Path, load: Workload, limit: int, batch: int) -> tuple[float, float]:
    """Return the seconds of ours and of theirs; ours goes first at even turns."""
    order = (theirs, ours) if turn % 2 else (ours, theirs)
    seconds = {side: _seconds(side, model, load, limit, batch) for side in order}
    return seconds[ours], seconds[theirs]


def ours(model: Path, load: Workload, limit: int, batch: int) -> None:
    """Load, answer, score and keep, as `suture eval` does; nothing kept before is read."""
    with tempfile.TemporaryDirectory() as folder:
        evaluate_model(model, [load], Path(folder), digest="0" * 64, batch_size=batch, limit=limit, reuse=False)


def theirs(model: Path, load: Workload, limit: int, batch: int) -> None:
    """Load, answer and score with lm-evaluation-harness and its HFLM."""
    import lm_eval
    from lm_eval.models.huggingface import HFLM
    from lm_eval.tasks import TaskManager

    path = task_file(load.task)
    lm_eval.simple_evaluate(
        model=HFLM(pretrained=str(model), batch_size=batch, device="cpu", dtype="float32"),
        tasks=[f"suture_{load.task.name}"],
        task_manager=TaskManager(include_path=str(path.parent), include_defaults=False),
        limit=limit,
        bootstrap_iters=0,
        log_samples=True,
        apply_chat_template=bool(load.task.max_new_tokens),
    )


def _seconds(side: Callable[..., None], *given: Any) -> float:
    began = time.perf_counter()
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        side(*given)
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
