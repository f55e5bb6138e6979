"""What models mean by their tensors, brought together: fp8 read through its scales, tied heads, computed buffers.

The ledger decides by name; here its decisions change what the rest of the plan sees. It reads weights in one case only:
a stored head that the config ties to the embedding is dropped when both hold the same bytes, and refused otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

from suture.checkpoint.header import Checkpoint
from suture.checkpoint.reader import TensorReader
from suture.checkpoint.scaled import ScaledInput, ScaledSet, find_scaled
from suture.checkpoint.source import Input
from suture.errors import IncompatibleError, Problem, refuse
from suture.ledger import Ledger, Line, make_ledger
from suture.plan.models import Model, collect


@dataclass(frozen=True)
class Reconciled:
    """The models as the plan goes on with them, what of them the output will not have, and notes.

    copied: tensors that are copied though they are floats (buffers that no training changes).
    """

    models: Mapping[str, Model]
    copied: frozenset[str]
    dropped: tuple[Line, ...]
    notes: tuple[str, ...]


def reconcile(models: Mapping[str, Model], checkpoints: Sequence[Checkpoint], donor: int) -> Reconciled:
    """Bring together models that stand in the order of `checkpoints`; `donor` is the position of the donor.

    Raises BadInputError for fp8 whose scales do not fit, IncompatibleError for tied heads that were trained apart.
    """
    names = list(models)
    scaled = collect(checkpoints, find_scaled)
    ledger = make_ledger(names, checkpoints, donor, scaled)
    refuse(IncompatibleError, _tie_problems(names, checkpoints, ledger))
    changed = {
        name: replace(model, tensors=MappingProxyType(_tensors(model, index, scaled[index], ledger)))
        for index, (name, model) in enumerate(models.items())
    }
    if ledger.config:
        giver = changed[names[donor]]
        changed[giver.name] = replace(giver, config=MappingProxyType({**giver.config, **ledger.config}))
    copied = frozenset(line.name for line in ledger.kept if line.action == "copy")
    return Reconciled(MappingProxyType(changed), copied, ledger.dropped, ledger.notes)


def _tensors(model: Model, index: int, scaled: ScaledSet, ledger: Ledger) -> dict[str, Input]:
    """The tensors of one model, in the order of its files: fp8 as inputs, without what is dropped."""
    dropped = {line.name for line in ledger.dropped}
    found: dict[str, Input] = {
        name: ScaledInput(scaled.weights[name]) if name in scaled.weights else given
        for name, given in model.tensors.items()
        if name not in dropped
    }
    for line in ledger.kept:
        given = line.inputs[index]
        if given.name != line.name:  # the embedding in the place of a head that this model ties to it
            found[line.name] = found[given.name]
    return found


def _tie_problems(names: Sequence[str], checkpoints: Sequence[Checkpoint], ledger: Ledger) -> list[Problem]:
    problems = []
    for index, head, embedding in ledger.equal:
        with TensorReader(checkpoints[index]) as reader:
            if not reader.same_bytes(head, embedding):
                must = "A head that the config ties to the embedding must hold its values (tie_word_embeddings)."
                do = "Set tie_word_embeddings to false in config.json if the head was trained, else remove the head."
                problems.append(Problem(must, f"others in '{head.name}'", names[index], do))
    return problems
