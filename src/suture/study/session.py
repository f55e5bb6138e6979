"""Runs a study from its plan over the gate to its comparison, and finds again what was run."""

from __future__ import annotations

from suture.errors import Problem
from suture.study.build import build
from suture.study.finished import Finished
from suture.study.kinds import kinds
from suture.study.local import LocalExecutor
from suture.study.runner import run
from suture.study.schema import Study, load_study
from suture.study.scores import gate_passed
from suture.study.store import Store, on_disk, replace_file

STUDY_FILE = "study.yaml"


def plan_study(study: Study, store: Store, *, workers: int = 2) -> Finished:
    """Run the quick steps that planning needs: texts and floors, no model. Raises as `run` does.

    Who runs the study too holds the store (`Store.locked`) over both, so that no other run comes between.
    """
    built = build(study)
    with store.locked():
        found = run(built.planning, kinds(), store, workers=workers)
        with on_disk(store.root):
            replace_file(store.root / STUDY_FILE, study.to_yaml().encode())
    return Finished(study, built, store, found)


def outline(study: Study, store: Store) -> tuple[Finished, list[Problem]]:
    """Return the plan of a study whose models and data need not be there, and what is missing; computes nothing."""
    absent: list[Problem] = []
    return Finished(study, build(study, absent=absent), store, {}), list(dict.fromkeys(absent))


def run_study(plan: Finished, *, workers: int = 2) -> Finished:
    """Run what `plan_study` planned, as far as it is not finished. Raises as `run` does.

    Parents come first; where they do not differ as the gate demands, no merge is evaluated.
    """
    with plan.store.locked(), LocalExecutor() as executor:
        found = run(plan.built.opening, kinds(), plan.store, workers=workers, executor=executor)
        gate = Finished(plan.study, plan.built, plan.store, found).folder("gate")
        built = build(plan.study, passed=gate_passed(gate))
        found = run(built.graph, kinds(), plan.store, workers=workers, executor=executor)
    return Finished(plan.study, built, plan.store, found)


def open_study(store: Store) -> Finished:
    """Return the study that a folder holds and its finished steps. Raises BadInputError where it holds none."""
    study = load_study(store.root / STUDY_FILE)
    done = Finished(study, built := build(study), store, store.finished(built.graph, kinds()))
    if "gate" in done.found and not gate_passed(done.folder("gate")):
        built = build(study, passed=False)
        done = Finished(study, built, store, store.finished(built.graph, kinds()))
    return done
