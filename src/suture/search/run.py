"""Runs a search: proposes candidates, races them on the development split, opens the test split for the finalists.

    journal.log        Optuna's journal: points, values, what the search is of
    candidates/        scores of each candidate by item; none is read twice
    audit.jsonl        the audit log; every opening of the test split is counted
    result.json        front, recommendation, sensitivity, test (`suture.search.outcome`)
    recommended.yaml   the recommended recipe, for `suture merge`

Several processes may run the same search on one folder: they share candidates, and come to the same result. What was
stopped goes on where it was.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from blake3 import blake3

import suture
from suture.audit import OPENED, AuditLog
from suture.checkpoint.digest import tokenizer_digest, weights_digest
from suture.checkpoint.resolve import resolve_model
from suture.errors import NumericError, Problem, UsageError
from suture.plan import make_plan
from suture.recipe import parse_recipe
from suture.report.private import write_private
from suture.search.candidates import Point, canonical, digest_of, parent_recipe, recipe_of, rounds, trial_point
from suture.search.journal import Journal
from suture.search.outcome import Found, Tested, ahead, result_of, written_recipe
from suture.search.probe import FailedCandidate, Kept, Probe, waiting
from suture.search.race import Fate, Objective, Outcome, Rules, race
from suture.search.screen import PARENTS, Screen
from suture.search.space import Space
from suture.search.splits import Measured, measured, split_digest


@dataclass(frozen=True, slots=True)
class Candidate:
    """A point of the space, its recipe and its digest, which is its name."""

    digest: str
    point: Point
    recipe: str


def search(
    space: Space,
    out: Path,
    *,
    audit: Path | None = None,
    test: bool = True,
    reason: str | None = None,
    device: str = "cpu",
    workers: int | None = None,
) -> dict[str, Any]:
    """Run or resume `space` in the folder `out`, and return what result.json holds.

    audit: the log, by default out/audit.jsonl; a team that shares a test set keeps one log for all searches. test:
    whether the finalists are measured on the test split. reason: for opening a test split that the log says was open.
    workers: threads of a merge. Raises UsageError (test split open before, items too few), IncompatibleError (the
    folder holds another search), IntegrityError (the log is broken), MissingExtraError (no optuna).
    """
    out.mkdir(parents=True, exist_ok=True, mode=0o700)
    return _Search(space, out, AuditLog(audit or out / "audit.jsonl"), device, workers).run(test, reason)


class _Search:
    def __init__(self, space: Space, out: Path, log: AuditLog, device: str, workers: int | None) -> None:
        self.space, self.out, self.log = space, out, log
        self.measured = measured(space)
        for method in space.methods:  # models and filters that do not fit are named before anything is read
            make_plan(parse_recipe(recipe_of(space, trial_point(space, method)), method))
        self.parents = weights(space)
        self.rounds = rounds(space)
        self.log.verify()
        self.journal = Journal(out, space, self._identity(device))
        self.kept = Kept(out / "candidates")
        self.probe = Probe(self.kept, device=device, workers=workers)
        self._screen: Screen | None = None
        self.candidates: dict[str, Candidate] = {}
        self.failed: set[str] = set()
        self.distances: dict[str, float] = {}  # of candidates that the screen has looked at
        self.discarded: set[str] = set()
        self._before: dict[str, tuple[int, ...]] = {}

    def run(self, test: bool, reason: str | None) -> dict[str, Any]:
        done = self._result()
        if done is not None and (done["test"] is not None or not test):
            self.log.verify(head=done["audit_head"])
            return done
        self._note_start()
        try:
            return self._run(test, reason)
        finally:
            self.probe.close()

    def _run(self, test: bool, reason: str | None) -> dict[str, Any]:
        units = self._units()
        fates: dict[str, Fate] = {}
        outcome: Outcome | None = None
        reference = ""
        for number in range(self.rounds):
            entrants = self._entrants(number, outcome)
            if entrants:
                outcome = self._race(number, entrants, units)
                fates = {name: fate for name, fate in (fates | dict(outcome.fates)).items() if name not in self.failed}
                reference = reference if reference in fates else outcome.leader
            if reference:
                self._tell(number, fates, units, reference)
        if outcome is None:
            must = "At least one candidate's outputs must be numbers."
            raise NumericError(Problem(must, f"{len(self.failed)} that are not", "candidates"))
        found = Found(
            space=self.space,
            measured=self.measured,
            units=units,
            points={name: one.point for name, one in self.candidates.items()},
            fates=fates,
            scores={name: self._read_scores(name, fate) for name, fate in fates.items()},
            leader=outcome.leader,
            failed=tuple(sorted(self.failed)),
            distances=self.distances,
            discarded=tuple(sorted(self.discarded)),
            items_read=sum(map(sum, self._before.values())),
            items_of_parents=0 if self._stated() else len(PARENTS) * sum(len(one.dev) for one in self.measured),
        )
        with waiting(self.out / "result.json"):
            done = self._result()  # of another process
            if done is None or (test and done["test"] is None):
                tested = self._test(found, reason) if test else None
                done = self._write(found, tested)
        return done

    def _entrants(self, number: int, before: Outcome | None) -> list[str]:
        """The candidates left so far, then those of the new batch that the screen lets pass."""
        size = -(-self.space.candidates // self.rounds)
        left = [name for name, fate in before.fates.items() if fate.state == "left"] if before else []
        new = []
        for point in self.journal.batch(number, max(0, min(size, self.space.candidates - number * size))):
            recipe = recipe_of(self.space, point)
            digest = digest_of(recipe, self.parents)
            self.candidates[digest] = Candidate(digest, point, recipe)
            if not self.kept.failed(digest):
                new.append(digest)
            else:
                self.failed.add(digest)
        return list(dict.fromkeys([*left, *self._passed(new)]))

    def _passed(self, names: Sequence[str]) -> list[str]:
        """Look at new candidates where the space has a screen; return those that are no outliers."""
        asked = self.space.screen
        if asked is None or not names:
            return list(names)
        if self._screen is None:
            self._screen = Screen(self.space, self.probe, self.parents, texts=asked.texts, new_tokens=asked.new_tokens)
        try:
            found = self._screen.look({name: self.candidates[name].recipe for name in names}, asked.most)
        except FailedCandidate:
            raise self._bad_parent() from None
        self.distances |= found.distances
        self.discarded |= set(found.discarded)
        self.failed |= set(found.failed)
        return [name for name in names if name not in self.discarded and name not in self.failed]

    def _race(self, number: int, names: list[str], units: Sequence[float]) -> Outcome:
        """Race; a candidate whose outputs are not numbers leaves, and the race is run again on what was read."""
        objectives = [
            Objective(one.goal.name, one.dev_clusters, one.goal.sign * one.goal.weight / unit)
            for one, unit in zip(self.measured, units, strict=True)
        ]
        rules = Rules(
            confidence=self.space.confidence,
            goal=self.space.goal,
            rivals=self.space.candidates,
            races=self.rounds,
            looks=self.space.looks,
        )
        total = self._budget()
        if total is not None:
            spent = sum(sum(read) for read in self._before.values())
            rules = replace(rules, budget=(total - spent) // (self.rounds - number))
        while names:
            try:
                outcome = race(names, objectives, self._oracle, rules, known=self._before)
            except FailedCandidate as failed:
                names = [name for name in names if name != failed.name]
                self.failed.add(failed.name)
                continue
            for name, fate in outcome.fates.items():  # one that was left may read less in a later race
                had = self._before.get(name, (0,) * len(objectives))
                self._before[name] = tuple(map(max, had, fate.read))
            return outcome
        must = "At least one candidate's outputs must be numbers."
        raise NumericError(Problem(must, f"{len(self.failed)} that are not", "candidates"))

    def _oracle(self, names: Sequence[str], start: Sequence[int], end: Sequence[int]) -> list[list[Any]]:
        wanted = [(one, one.dev[a:b]) for one, a, b in zip(self.measured, start, end, strict=True)]
        recipes = {name: self.candidates[name].recipe for name in names}
        found = self.probe.scores(recipes, wanted, f"items up to {sum(end)}")
        return [found[name] for name in names]

    def _read_scores(self, name: str, fate: Fate) -> list[Any]:
        """What a race has read of a candidate; it is all kept, even where the candidate failed since."""
        parts = zip(self.measured, fate.read, strict=True)
        return [self.probe.column(name, one, one.dev[:n]) for one, n in parts]

    def _budget(self) -> int | None:
        asked, pairs = self.space.items, self.space.candidates * sum(len(one.dev) for one in self.measured)
        if asked is None:
            return None
        return int(asked * pairs) if asked <= 1 else int(asked)

    def _units(self) -> list[float]:
        """What counts as one of each objective: as stated, else the parents' difference on the development split."""
        if self._stated():
            return [float(one.goal.unit or 0) for one in self.measured]
        found = self._parents([(one, one.dev) for one in self.measured], "parents")
        units = []
        for k, one in enumerate(self.measured):
            apart = abs(float(found["clinical"][k].mean() - found["general"][k].mean()))
            if one.goal.unit is None and apart == 0:
                must = "The parents must differ on an objective without a unit."
                raise UsageError(Problem(must, "the same mean", f"objectives, {one.goal.name}", "Give 'unit'."))
            units.append(one.goal.unit or apart)
        return units

    def _stated(self) -> bool:
        return all(one.goal.unit is not None for one in self.measured)

    def _parents(self, wanted: Sequence[tuple[Measured, Sequence[Any]]], what: str) -> dict[str, list[Any]]:
        recipes = {role: parent_recipe(self.space, role) for role in PARENTS}
        names = {role: digest_of(recipe, self.parents) for role, recipe in recipes.items()}
        try:
            found = self.probe.scores({names[role]: recipes[role] for role in PARENTS}, wanted, what)
        except FailedCandidate:
            raise self._bad_parent() from None
        return {role: found[names[role]] for role in PARENTS}

    @staticmethod
    def _bad_parent() -> NumericError:
        return NumericError(
            Problem("A parent's outputs must be numbers.", "NaN or infinity", "recipe", "Check the models.")
        )

    def _tell(self, number: int, fates: Mapping[str, Fate], units: Sequence[float], reference: str) -> None:
        """Tell the sampler how far each candidate is ahead of the first batch's leader, on items that both have read.

        Means would not do: candidates that were ruled out early have read other items.
        """
        worths = [one.goal.sign * one.goal.weight / unit for one, unit in zip(self.measured, units, strict=True)]
        base = self._read_scores(reference, fates[reference])
        values = {}
        for name, fate in fates.items():
            several = ahead(self._read_scores(name, fate), base, worths)
            told = [sum(several)] if self.space.goal == "best" else several
            values[canonical(self.candidates[name].point)] = told
        self.journal.tell(number, values)

    def _test(self, found: Found, reason: str | None) -> Tested:
        """Open the test split, after the log says so, and measure finalists and parents on all of it."""
        names = found.finalists
        split = split_digest(self.measured, test=True)
        opened = [e for e in self.log.verify() if e.event == OPENED and e.facts.get("split") == split]
        if opened and opened[-1].facts["finalists"] == list(names) and reason is None and self._stopped(opened[-1]):
            opening = int(opened[-1].facts["opening"])  # this search's own look, which was stopped
        else:
            opening = self.log.open_test(split, finalists=names, reason=reason)
            write_private(self.out / "opened", self.log.head() + "\n")
        wanted = [(one, one.test) for one in self.measured]
        recipes = {name: self.candidates[name].recipe for name in names}
        try:
            return Tested(opening, self.probe.scores(recipes, wanted, "test"), self._parents(wanted, "parents, test"))
        except FailedCandidate as failed:
            must = "A finalist's outputs must be numbers."
            raise NumericError(Problem(must, "NaN or infinity", f"candidate {failed.name[:12]}")) from None

    def _stopped(self, entry: Any) -> bool:
        mark = self.out / "opened"
        return mark.exists() and mark.read_text(encoding="utf-8").strip() == entry.digest

    def _write(self, found: Found, tested: Tested | None) -> dict[str, Any]:
        identity = {"space": self.space.digest, "finalists": len(found.finalists), "leader": found.leader}
        head = self.log.append("search finished", **identity, tested=tested is not None, items=found.items_read)
        result = result_of(found, tested) | {"audit_head": head}
        write_private(self.out / "recommended.yaml", written_recipe(found, self.candidates[found.leader].recipe))
        write_private(self.out / "result.json", json.dumps(result, indent=1, allow_nan=False))
        (self.out / "opened").unlink(missing_ok=True)
        return result

    def _result(self) -> dict[str, Any] | None:
        path = self.out / "result.json"
        return dict(json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else None

    def _note_start(self) -> None:
        facts = {"space": self.space.digest, "dev": split_digest(self.measured, test=False)}
        items = sum(len(one.dev) for one in self.measured)
        self.log.append("search started", **facts, items=items, parents=list(self.parents))

    def _identity(self, device: str) -> dict[str, str]:
        return {
            "space": self.space.digest,
            "parents": blake3("\n".join(self.parents).encode()).hexdigest(),
            "development items": split_digest(self.measured, test=False),
            "test items": split_digest(self.measured, test=True),
            "version of suture": suture.__version__,
            "version of torch": version("torch"),
            "version of transformers": version("transformers"),
            "device": device,
        }


def weights(space: Space) -> tuple[str, ...]:
    """Weights and tokenizer digests of the models, as they are now."""
    named = (space.recipe.general, space.recipe.clinical, space.recipe.base_model)
    folders = [resolve_model(model) for model in named if model is not None]
    return tuple(digest for folder in folders for digest in (weights_digest(folder), tokenizer_digest(folder)))
