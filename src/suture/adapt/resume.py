"""Resumable training: the Trainer's own checkpoints, of which only those count that were whole and synced."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from suture.adapt.early import Watch
from suture.checkpoint.disk import sync_tree
from suture.errors import Problem, UsageError

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


def keeper(losses: list[float], watch: Watch) -> Any:
    """Return a Trainer callback that finishes a checkpoint: what was seen so far, all of it synced, then a mark."""
    import torch
    import transformers

    class Keeper(transformers.TrainerCallback):  # type: ignore[misc]
        def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            folder = Path(args.output_dir) / f"checkpoint-{state.global_step}"
            torch.save(watch.weights, folder / BEST)
            sync_tree(folder)
            about = {"losses": losses, "seen": watch.seen, "best": watch.best}
            staging = folder / f".{WHOLE}.partial"
            staging.write_text(json.dumps(about), encoding="utf-8")
            staging.replace(folder / WHOLE)
            sync_tree(folder)

    return Keeper()


def unfinished(place: Path, losses: list[float], watch: Watch, accumulate: int) -> str | None:
    """Return the last whole checkpoint below `place` after filling in what was seen by then; None where there is none.

    Checkpoints that are not whole are removed.
    """
    import torch

    found = {int(path.name.removeprefix("checkpoint-")): path for path in place.glob("checkpoint-*")}
    for step in [step for step, path in found.items() if not (path / WHOLE).is_file()]:
        shutil.rmtree(found.pop(step))
    if not found:
        return None
    folder = found[max(found)]
    about = json.loads((folder / WHOLE).read_text(encoding="utf-8"))
    losses[:] = about["losses"][: max(found) * accumulate]
    watch.seen[:] = [(int(step), float(loss)) for step, loss in about["seen"]]
    watch.best = about["best"]
    watch.weights = torch.load(folder / BEST, weights_only=True)
    return str(folder)
