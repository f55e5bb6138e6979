"""What each of two launched processes runs for test_processes.py: it trains together and writes what it saw."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import torch

import suture.adapt.trainer as module
from suture.adapt.fit import fit, whole
from suture.adapt.processes import joined
from suture.adapt.sequences import Example
from suture.adapt.settings import Settings
from suture.checkpoint.load import load_model
from suture.errors import BadInputError, Problem, SutureError

EXAMPLES = [Example((1, 40 + n, 41, 60 - n, *range(70, 70 + n % 4), 2), 2) for n in range(7)]
DEVELOPMENT = [Example((1, 48 + n, 41, 52, 2), 2) for n in range(3)]
CASES: dict[str, dict[str, Any]] = {
    "full": {"batch": 2},  # 7 in batches of 2: the last of a pass is short
    "accumulated": {"batch": 2, "accumulate": 2, "checkpointing": True},
    "adapter": {"batch": 4, "lora_rank": 2, "patience": 1, "evaluate_every": 1, "learning_rate": 0.2},
}


class Killed(BaseException):
    """What a kill looks like from within."""


def settings(**changes: Any) -> Settings:
    return Settings(**{"steps": 9, "batch": 2, "length": 16, "learning_rate": 1e-2, "seed": 4} | changes)


def trained(start: Path, name: str, **more: Any) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    """Return what was seen in training a case, and its weights."""
    chosen = settings(**CASES[name])
    development = DEVELOPMENT if chosen.patience else []
    found = fit(load_model(start)[0], EXAMPLES, chosen, development=development, **more)
    return {"losses": found.losses, "seen": found.development, "best": found.best}, whole(found).state_dict()


def _resumed(start: Path, place: Path, processes: Any) -> bool:
    """Whether a run with dropout that was killed on both processes ends with the weights of one that was not."""
    chosen = settings(lora_rank=2, lora_dropout=0.2)
    once = fit(load_model(start)[0], EXAMPLES, chosen, processes=processes)
    real, seen = module.answer_loss, iter(range(10**6))

    def dies(model: Any, batch: Any) -> Any:
        if next(seen) == 7:
            raise Killed
        return real(model, batch)

    module.answer_loss = dies
    try:
        fit(load_model(start)[0], EXAMPLES, chosen, work=place, save_every=3, processes=processes)
        return False
    except Killed:
        module.answer_loss = real
    names = {path.name for path in place.glob("checkpoint-*/*")}
    again = fit(load_model(start)[0], EXAMPLES, chosen, work=place, save_every=3, processes=processes)
    one, other = whole(once).state_dict(), whole(again).state_dict()
    same = all(torch.equal(one[name], other[name]) for name in one) and once.losses == again.losses
    return same and {"rng_state_0.pth", "rng_state_1.pth", "whole.json"} <= names


def _errors(processes: Any) -> list[Any]:
    """Return what this process is told of an error that only the other, or only the leader, meets."""
    told: list[Any] = []

    def fails_on(rank: int) -> int:
        if processes.rank == rank:
            raise BadInputError(Problem("It must be.", f"nothing on {rank}"))
        return rank

    for call in (
        lambda: processes.together(lambda: fails_on(1)),
        lambda: processes.lead(lambda: fails_on(0)),
        lambda: processes.lead(lambda: 1 / 0),
    ):
        try:
            call()
        except SutureError as error:
            told.append([str(error), error.exit_code, error.told])
        except ZeroDivisionError:
            told.append(["ZeroDivisionError", 1, False])
    return told


def main(start: Path, out: Path) -> None:
    """Run every case."""
    processes = joined()
    with processes.company():
        said: dict[str, Any] = {"rank": processes.rank, "cases": {}}
        for name in CASES:
            said["cases"][name], weights = trained(start, name, processes=processes)
            if processes.leads:
                torch.save(weights, out / f"{name}.pt")
        said["resumed"] = _resumed(start, out / "work", processes)
        said["errors"] = _errors(processes)
        said["mean"] = processes.mean(torch.tensor(float(processes.rank)))
        (out / f"{processes.rank}.json").write_text(json.dumps(said))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
