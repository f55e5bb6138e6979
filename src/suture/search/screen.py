"""The screen: a look at a candidate before any item is read, which may discard outliers and nothing else.

Drift is the mean KL(parent || candidate) over the tokens of a parent's own greedy answers to a few user turns
(`suture.tasks.drift`), here to each of the two parents. A candidate's distance is the smaller of its two drifts, each
as a multiple of the drift between the parents: 0 for a parent; a candidate is discarded where it exceeds `most`, that
is where it lies that many times farther from both parents than they lie from one another. Drift is no score: within
that range it decides nothing.

The turns are of the synthetic clinic's and the instructions' training halves, so they are no items of a test, and hold
no patient's text. Parents' answers and distributions stay in memory and are made anew by each process.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from suture.data.records import Record
from suture.evaluate.items import ItemRow
from suture.search.candidates import digest_of, parent_recipe
from suture.search.probe import FailedCandidate, Probe
from suture.search.race import Vector
from suture.search.space import Goal, Space
from suture.search.splits import Measured
from suture.tasks.drift import TASK

if TYPE_CHECKING:
    from suture.evaluate.engine import Engine

PARENTS = ("general", "clinical")
TURNS_SEED = 7


class Answers(NamedTuple):
    """A parent's greedy answers: token ids of prompts and answers, and its distributions over the answers."""

    prompts: list[list[int]]
    answers: list[list[int]]
    log_probs: list[Any]


@dataclass(frozen=True, slots=True)
class Screened:
    """What the screen found, by candidate: its distance. discarded: farther than allowed. failed: no numbers."""

    distances: Mapping[str, float]
    discarded: tuple[str, ...]
    failed: tuple[str, ...]


def turns(n: int) -> list[Record]:
    """Return n records whose input is a user turn, of instructions and of clinical summaries by turns."""
    from suture.data import clinic, instructions
    from suture.tasks.registry import get_task

    half = (n + 1) // 2
    asked = [record.input for record in instructions.training(TURNS_SEED, half)]
    summary = get_task("clinic_summary")
    notes = [summary.user_text(record.input) for record in clinic.summaries(clinic.generate(TURNS_SEED, half, 0).train)]
    dealt = islice(chain.from_iterable(zip(asked, notes, strict=True)), n)
    bare = Record("", "drift", "", "drift", "", "", "train", "Apache-2.0")
    return [
        Record(f"turn-{k}", bare.source, f"turn-{k}", bare.section, text, "", bare.split, bare.licence)
        for k, text in enumerate(dealt)
    ]


def distance(drifts: Mapping[str, Vector], between: Mapping[str, Vector]) -> float:
    """Return the smaller of a candidate's mean drifts from the parents, each over the drift between the parents.

    drifts: nats a token, by parent, one a turn. between: the other parent's drift from that one, of means > 0.
    """
    return min(float(np.mean(drifts[role]) / np.mean(between[role])) for role in PARENTS)


class Screen:
    """Measures candidates of `space` by `probe`. parents: digests that name the parents' weights."""

    def __init__(self, space: Space, probe: Probe, parents: Sequence[str], *, texts: int, new_tokens: int) -> None:
        self._probe, self._new_tokens = probe, new_tokens
        self._recipes = {role: parent_recipe(space, role) for role in PARENTS}
        self._names = {role: digest_of(recipe, parents) for role, recipe in self._recipes.items()}
        self._turns = tuple(turns(texts))
        self._answers: dict[str, Answers] = {}
        self._measured = [
            Measured(Goal.model_construct(task="drift", metric=f"kl_to_{role}"), TASK, self._turns, ())
            for role in PARENTS
        ]
        probe.readers["drift"] = self._rows

    def drifts(self, recipes: Mapping[str, str]) -> dict[str, dict[str, Vector]]:
        """Return digest -> parent -> KL(parent || candidate) of each turn, in nats a token. Raises FailedCandidate."""
        wanted = [(one, self._turns) for one in self._measured]
        if any(not self._probe.known(digest, wanted) for digest in recipes):
            self._answer()
        found = self._probe.scores(recipes, wanted, "drift")
        return {digest: dict(zip(PARENTS, columns, strict=True)) for digest, columns in found.items()}

    def between(self) -> dict[str, Vector]:
        """Return parent -> KL(parent || other parent) of each turn, in nats a token."""
        found = self.drifts({self._names[role]: self._recipes[role] for role in PARENTS})
        general, clinical = (found[self._names[role]] for role in PARENTS)
        return {"general": clinical["general"], "clinical": general["clinical"]}

    def look(self, recipes: Mapping[str, str], most: float) -> Screened:
        """Return the distance of each candidate (digest -> recipe), and which lie farther than `most`.

        Where the parents do not differ, or every candidate lies farther, none is discarded: none is an outlier then.
        """
        between = self.between()
        left, failed = dict(recipes), []
        found: dict[str, dict[str, Vector]] = {}
        while left and not found:
            try:
                found = self.drifts(left)
            except FailedCandidate as error:
                failed.append(error.name)
                del left[error.name]
        apart = min(float(np.mean(values)) for values in between.values()) > 0
        distances = {digest: distance(drifts, between) for digest, drifts in found.items() if apart}
        far = tuple(digest for digest, value in distances.items() if value > most)
        return Screened(distances, far if len(far) < len(distances) else (), tuple(failed))

    def _answer(self) -> None:
        """Merge each parent and keep its answers and distributions."""
        from suture.evaluate.packing import Request

        for role, recipe in self._recipes.items():
            if role in self._answers:
                continue
            engine = self._probe.merged(recipe)
            prompts = [engine.encode(engine.chat(record.input)) for record in self._turns]
            answers = engine.answer_ids(prompts, self._new_tokens)
            requests = [Request(prompt, [answer]) for prompt, answer in zip(prompts, answers, strict=True)]
            found = engine.read(requests, lambda log_probs, _: log_probs.cpu())
            self._answers[role] = Answers(prompts, answers, [log_probs for (log_probs,) in found])

    def _rows(self, engine: Engine, task: Any, items: Sequence[Record], digest: str) -> list[ItemRow]:
        """Return one row a turn, for the probe. The model is the candidate's."""
        places = {record.id: at for at, record in enumerate(self._turns)}
        wanted = [places[item.id] for item in items]
        found = {role: _divergences(engine, self._answers[role], wanted) for role in PARENTS}
        return [
            ItemRow(digest, task.name, item.id, item.encounter, "", scores={
                f"kl_to_{role}": found[role][at] for role in PARENTS
            })
            for at, item in enumerate(items)
        ]  # fmt: skip


def _divergences(engine: Engine, kept: Answers, places: Sequence[int]) -> list[float]:
    """KL(parent || model) of each answer: summed over the vocabulary in fp64, mean over its tokens."""
    import torch

    from suture.evaluate.packing import Request

    requests = [Request(kept.prompts[at], [kept.answers[at]]) for at in places]
    values = []
    for at, (log_q,) in zip(places, engine.read(requests, lambda log_probs, _: log_probs.cpu()), strict=True):
        log_p = kept.log_probs[at]
        values.append(float((log_p.exp() * (log_p - log_q)).sum(dim=-1, dtype=torch.float64).mean()))
    return values
