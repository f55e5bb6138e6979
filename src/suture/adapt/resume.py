"""Resumable training: the Trainer's own checkpoints, of which only those count that were whole and synced."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from suture.adapt.early import Watch
from suture.adapt.processes import ALONE, Processes
from suture.checkpoint.disk import free_bytes, sync_tree
from suture.errors import Problem, ResourceError, UsageError

LITTLE = 1 << 26  # bytes free, below which a write that failed is taken for one on a full disk
KEY, WHOLE, BEST = "key.json", "whole.json", "best.pt"


def claim(place: Path, key: Mapping[str, Any]) -> None:
    """Make `place` the folder of the training that `key` describes, or go on with it.

    Raises UsageError naming what differs where the folder belongs to another training.
    """
    place.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = place / KEY
    told = json.loads(json.dumps(key))
    if not path.is_file():
        staging = place / f".{KEY}.partial"
        staging.write_text(json.dumps(told, indent=1, sort_keys=True), encoding="utf-8")
        staging.replace(path)
        return
    kept = json.loads(path.read_text(encoding="utf-8"))
    differing = sorted(name for name in {*kept, *told} if kept.get(name) != told.get(name))
    if differing:
        must = "A training can only go on with the model, data and settings that it began with."
        do = "Give them again, or remove the folder to start anew."
        raise UsageError(Problem(must, f"another {', '.join(differing)}", str(place), do))


def keeper(losses: list[float], watch: Watch, processes: Processes = ALONE) -> Any:
    """Return a Trainer callback that finishes a checkpoint: what was seen so far, all of it synced, then a mark.

    The leading process does so, when all have written theirs. Raises ResourceError where the disk does not take it.
    """
    import torch
    import transformers

    class Keeper(transformers.TrainerCallback):  # type: ignore[misc]
        def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            folder = Path(args.output_dir) / f"checkpoint-{state.global_step}"
            processes.lead(lambda: finish(folder))

    def finish(folder: Path) -> None:
        about = {"losses": losses, "seen": watch.seen, "best": watch.best}
        with writing(folder):
            torch.save(watch.weights, folder / BEST)
            sync_tree(folder)
            staging = folder / f".{WHOLE}.partial"
            staging.write_text(json.dumps(about), encoding="utf-8")
            staging.replace(folder / WHOLE)
            sync_tree(folder)

    return Keeper()


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Turn what torch, safetensors and the system say of a full disk into a ResourceError.

    torch says only that something failed, so that of it counts what comes where no room is left.
    """
    from safetensors import SafetensorError

    try:
        yield
    except (OSError, RuntimeError, SafetensorError) as error:
        free = free_bytes(folder.parent)
        if isinstance(error, RuntimeError) and free > LITTLE:
            raise
        got = f"{type(error).__name__}, {free:,} bytes free"
        do = "Make room and give the same command again: it goes on from the state before."
        raise ResourceError(
            Problem("The disk must take the state of the training.", got, str(folder.parent), do)
        ) from None


@dataclass(frozen=True, slots=True)
class Unfinished:
    """Where a run stood when it was killed: its last whole checkpoint, and what was seen by then."""

    folder: Path
    losses: list[float]
    seen: list[tuple[int, float]]
    best: int


def unfinished(place: Path) -> Unfinished | None:
    """Return the last whole checkpoint below `place`; None where there is none.

    Later ones that are not whole are removed.
    """
    found = {int(path.name.removeprefix("checkpoint-")): path for path in place.glob("checkpoint-*")}
    for step in sorted(found, reverse=True):
        mark = found[step] / WHOLE
        about = json.loads(mark.read_text(encoding="utf-8")) if mark.is_file() else {"losses": []}
        if len(about["losses"]) == step:
            seen = [(int(at), float(loss)) for at, loss in about["seen"]]
            return Unfinished(found[step], about["losses"], seen, about["best"])
        shutil.rmtree(found[step])
    return None


def best_weights(folder: Path) -> dict[str, Any]:
    """Return the best trainable weights by the time of a checkpoint, {} where none were kept."""
    import torch

    kept: dict[str, Any] = torch.load(folder / BEST, weights_only=True)
    return kept
