"""What is left of trainings that were stopped and that a study will not go on with."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from suture.study.graph import Graph, Kind
from suture.study.store import TRAINING, Store


@dataclass(frozen=True, slots=True)
class Trainings:
    """Folders that hold the state of a training. abandoned: its step is finished or not the study's any more.

    resumable: the study goes on with it at its next run. undecided: the study has steps whose inputs are not there yet,
    and it may be of one of them.
    """

    abandoned: tuple[Path, ...] = ()
    resumable: tuple[Path, ...] = ()
    undecided: tuple[Path, ...] = ()


def trainings(store: Store, graph: Graph, kinds: Mapping[str, Kind]) -> Trainings:
    """Return the states of trainings below the store's root by what `graph` will do with them."""
    finished = store.finished(graph, kinds)
    open_, unknown = set(), set()
    for step in graph:
        if step.name in finished:
            continue
        if all(source in finished for source in step.inputs.values()):
            open_.add(store.training(step, store.key(step, kinds, finished)))
        else:
            unknown.add(step.kind)
    ended = {store.training(graph[name], done.key) for name, done in finished.items()}
    sorted_out: dict[str, list[Path]] = {"abandoned": [], "resumable": [], "undecided": []}
    for path in sorted(store.root.glob(f"{TRAINING}/*")):
        kind = path.name.partition("-")[0]
        state = "resumable" if path in open_ else "undecided" if kind in unknown and path not in ended else "abandoned"
        sorted_out[state].append(path)
    return Trainings(**{name: tuple(paths) for name, paths in sorted_out.items()})


def clean_trainings(
    store: Store, graph: Graph, kinds: Mapping[str, Kind], *, everything: bool = False
) -> tuple[list[Path], Trainings]:
    """Remove abandoned states of trainings, and with `everything` those that a run would go on with or might.

    Returns what was removed and how it was sorted before. The caller holds the store's lock.
    """
    found = trainings(store, graph, kinds)
    removed = [*found.abandoned, *((*found.resumable, *found.undecided) if everything else ())]
    for path in removed:
        shutil.rmtree(path)
    if (folder := store.root / TRAINING).is_dir() and not any(folder.iterdir()):
        folder.rmdir()
    return removed, found
