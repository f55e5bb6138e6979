"""One vocabulary for the models of a merge: what the tokenizers' code finds, as the plan goes on with it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from suture.checkpoint.header import Checkpoint
from suture.checkpoint.opened import reading
from suture.checkpoint.token_merge import OneVocabulary, TokenModel, one_vocabulary
from suture.checkpoint.untrained import UntrainedRow
from suture.errors import IncompatibleError, Problem
from suture.plan.jobs import StagedInput
from suture.plan.models import Model, vocabulary_problems
from suture.recipe import Recipe


def _as_it_is(config: Mapping[str, Any], donor: str) -> Mapping[str, Any]:
    return config


@dataclass(frozen=True)
class SharedVocabulary:
    """The models on one vocabulary, what that changes in config and files, notes, and what keeps them from it."""

    models: tuple[Model, ...]
    problems: tuple[Problem, ...] = ()
    notes: tuple[str, ...] = ()
    config: Callable[[Mapping[str, Any], str], Mapping[str, Any]] = _as_it_is
    files: Mapping[str, bytes] = field(default_factory=dict)
    not_copied: tuple[str, ...] = ()
    untrained: tuple[UntrainedRow, ...] = ()


def share_vocabulary(
    recipe: Recipe, models: Sequence[Model], donor: Model, checkpoints: Sequence[Checkpoint]
) -> SharedVocabulary:
    """Bring the models of a recipe to one vocabulary; rows that one never trained come from one that did.

    Where the result of a stage takes part, all must share their vocabulary as it is. Raises BadInputError for
    tokenizers that cannot be read.
    """
    if any(isinstance(given, StagedInput) for model in models for given in model.tensors.values()):
        return SharedVocabulary(tuple(models), tuple(vocabulary_problems(recipe, models)))
    names = [
        name
        for name, given in donor.tensors.items()
        if donor.architecture.vocabulary_axis(name, given.shape) is not None
    ]
    given_models = [TokenModel(model.name, model.folder, model.tensors) for model in models]
    base = recipe.base_model if recipe.base_model in {model.name for model in models} else None
    try:
        with reading(*checkpoints) as reader_of:
            found = one_vocabulary(
                recipe.tokenizer_request, given_models, names, reader_of, donor=donor.name, base=base
            )
    except IncompatibleError as error:
        return SharedVocabulary(tuple(models), error.problems)
    return _shared(found, models, donor)


def _shared(found: OneVocabulary, models: Sequence[Model], donor: Model) -> SharedVocabulary:
    changed = tuple(replace(m, tensors=tensors) for m, tensors in zip(models, found.tensors, strict=True))
    files, not_copied = found.files(donor.name, {model.name: model.folder for model in models})
    return SharedVocabulary(changed, (), found.notes, found.config, files, not_copied, found.untrained)
