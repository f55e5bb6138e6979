"""The journal of a search: Optuna proposes points, batch by batch, and is told what was measured.

Optuna's journal file holds points, values, and what the search is of; every worker process reads the same file, and
one at a time adds to it, so that all of them race the same candidates. The first batch is drawn at random. After it a
Gaussian process proposes where only numbers vary (Optuna's GPSampler: Matern kernel, log expected improvement, Ament et
al. 2023), else TPE (Bergstra et al. 2011); both in Optuna's own variants for several objectives. The sampler is seeded
anew for each batch, so a search that was stopped proposes what it would have proposed.
"""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from suture.errors import IncompatibleError, MissingExtraError, Problem
from suture.search.candidates import METHOD, Dimension, Point, canonical, grid, of_method, sampler, trial_point
from suture.search.probe import waiting
from suture.search.space import Space

if TYPE_CHECKING:
    import optuna

GP_FROM = 2  # measured points below which a Gaussian process draws at random
ATTEMPTS = 4  # proposals a new candidate: a sampler may propose a point again


class Journal:
    """The journal in `folder`. identity: part -> what it is; another one than the journal's is refused by name."""

    def __init__(self, folder: Path, space: Space, identity: Mapping[str, str]) -> None:
        self._path = folder / "journal.log"
        self._space = space
        self._width = 1 if space.goal == "best" else len(space.objectives)
        with waiting(self._path):
            if not self._path.exists():
                os.close(os.open(self._path, os.O_WRONLY | os.O_CREAT, 0o600))
            self._storage = self._open()
            self._check(identity)

    def batch(self, number: int, size: int) -> list[Point]:
        """Return the points of a batch, each once in the whole search; proposed where no process has yet.

        A space whose grid is no larger than `candidates` is proposed whole in the first batch.
        """
        with waiting(self._path):
            study = self._study(number)
            if f"batch {number}" not in study.user_attrs:
                self._propose(study, number, size)
            return [json.loads(line) for line in self._study(number).user_attrs[f"batch {number}"]]

    def tell(self, number: int, values: Mapping[str, Sequence[float]]) -> None:
        """Tell the values, more is better, of a batch's points by their canonical line; points left out have failed."""
        import optuna

        with waiting(self._path):
            study = self._study(number)
            for trial in study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.RUNNING,)):
                told = values.get(trial.user_attrs.get("point", ""))
                if told is None:
                    study.tell(trial.number, state=optuna.trial.TrialState.FAIL)
                else:
                    study.tell(trial.number, list(told))

    def _propose(self, study: optuna.Study, number: int, size: int) -> None:
        import optuna

        running = (optuna.trial.TrialState.RUNNING, optuna.trial.TrialState.WAITING)
        for left in study.get_trials(deepcopy=False, states=running):  # of a process that stopped while proposing
            study.tell(left.number, state=optuna.trial.TrialState.FAIL, skip_if_finished=True)
        known = {line for key, lines in study.user_attrs.items() if key.startswith("batch ") for line in lines}
        whole = grid(self._space)
        given = whole if whole is not None else [trial_point(self._space, method) for method in self._space.methods]
        given = given if number == 0 else []
        if whole is not None:
            size = len(given)
        lines: list[str] = []
        for point in given[:size]:
            study.enqueue_trial(dict(point))
        for _ in range(ATTEMPTS * size):
            if len(lines) == size:
                break
            trial = study.ask()
            line = canonical(_suggested(self._space, trial))
            if line in known:
                study.tell(trial.number, state=optuna.trial.TrialState.FAIL)
                continue
            trial.set_user_attr("point", line)
            known.add(line)
            lines.append(line)
        study.set_user_attr(f"batch {number}", lines)

    def _open(self) -> Any:
        try:
            import optuna
            from optuna.storages.journal import JournalFileBackend
        except ImportError:
            do = "Run pip install 'suture[search]'."
            raise MissingExtraError(Problem("A search needs the package optuna.", "none", do=do)) from None
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        return optuna.storages.JournalStorage(JournalFileBackend(str(self._path)))

    def _study(self, number: int) -> optuna.Study:
        import optuna

        with warnings.catch_warnings():
            warnings.simplefilter("ignore", category=optuna.exceptions.ExperimentalWarning)
            seed = (self._space.seed + 7919 * number) % 2**32
            if number and sampler(self._space) == "gp":
                chosen: optuna.samplers.BaseSampler = optuna.samplers.GPSampler(seed=seed, n_startup_trials=GP_FROM)
            else:
                chosen = optuna.samplers.TPESampler(seed=seed, n_startup_trials=0 if number else 10**6)
        return optuna.create_study(
            storage=self._storage,
            study_name=self._space.name,
            sampler=chosen,
            directions=["maximize"] * self._width,
            load_if_exists=True,
        )

    def _check(self, identity: Mapping[str, str]) -> None:
        import optuna

        names = optuna.get_all_study_names(self._storage)
        must = "A folder holds one search; its journal must be of this space."
        do = "Choose another --out, or undo the change."
        others = [name for name in names if name != self._space.name]
        if others:
            raise IncompatibleError(Problem(must, f"the space '{others[0]}'", str(self._path), do))
        if not names:
            study = self._study(0)
            study.set_user_attr("identity", dict(identity))
            return
        held: Mapping[str, str] = self._study(0).user_attrs.get("identity", {})
        changed = [key for key in identity if held.get(key) != identity[key]]
        if changed:
            got = f"'{self._space.name}' with another {', another '.join(changed)}"
            raise IncompatibleError(Problem(must, got, str(self._path), do))


def _suggested(space: Space, trial: optuna.Trial) -> dict[str, Any]:
    method = space.methods[0]
    if len(space.methods) > 1:
        method = trial.suggest_categorical(METHOD, space.methods)
    return {METHOD: method, **{d.name: _one(trial, d) for d in of_method(space, method)}}


def _one(trial: optuna.Trial, dimension: Dimension) -> Any:
    if dimension.choices:
        return trial.suggest_categorical(dimension.name, dimension.choices)
    if dimension.whole:
        step = int(dimension.step or 1)
        return trial.suggest_int(dimension.name, int(dimension.low), int(dimension.high), step=step)
    grid_values = dimension.grid()
    high = dimension.high if grid_values is None else grid_values[-1]
    return round(trial.suggest_float(dimension.name, dimension.low, high, step=dimension.step), 12)
