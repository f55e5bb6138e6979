"""References -> models as a plan sees them: tensors, config, structure; and what keeps models from one another."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

from suture.architecture import Architecture, architecture_of
from suture.checkpoint.adapter import apply_adapter, read_adapter
from suture.checkpoint.donor import vocabulary_digest
from suture.checkpoint.header import Checkpoint, read_checkpoint, read_header
from suture.checkpoint.resolve import resolve_model
from suture.checkpoint.source import Input
from suture.errors import BadInputError, Problem, SutureError, refuse
from suture.recipe import Recipe
from suture.recipe.references import split_reference

SHOWN = 8
T = TypeVar("T")
S = TypeVar("S")


@dataclass(frozen=True)
class Model:
    """A model of the recipe or the result of a stage.

    index: position among the plan's models. folder: where its small files lie. checkpoint: position of that folder
    among the plan's checkpoints.
    """

    name: str
    index: int
    tensors: Mapping[str, Input]
    config: Mapping[str, Any]
    folder: Path
    checkpoint: int

    @cached_property
    def architecture(self) -> Architecture:
        """Its structure."""
        return architecture_of(self.config, self.tensors)


def read_models(references: Sequence[str], *, online: bool) -> tuple[dict[str, Model], tuple[Checkpoint, ...]]:
    """Read the headers of all references. Raises the error of the last problem found, with the problems of all."""
    folders = collect(references, lambda reference: _resolve(reference, online))
    checkpoints = collect(folders, read_checkpoint)
    models = {
        reference: Model(reference, index, found.tensors, found.config, found.path, index)
        for index, (reference, found) in enumerate(zip(references, checkpoints, strict=True))
    }
    return models, tuple(checkpoints)


def read_information(file: str) -> Checkpoint:
    """Read the header of a file that `suture calibrate` wrote. Raises BadInputError."""
    path = Path(file).expanduser()
    if not path.is_file():
        must = "Information must be a file of suture calibrate."
        raise BadInputError(Problem(must, "no such file", file, "Check the path."))
    tensors = {info.name: info for info in read_header(path)}
    return Checkpoint(path.parent, MappingProxyType(tensors), MappingProxyType({}), (path,))


def collect(items: Iterable[S], make: Callable[[S], T]) -> list[T]:
    """Return make(item) for all items. Raises the error of the last problem found, with the problems of all."""
    found: list[T] = []
    problems: list[Problem] = []
    kind: type[SutureError] = SutureError
    for item in items:
        try:
            found.append(make(item))
        except SutureError as error:
            problems += error.problems
            kind = type(error)
    refuse(kind, problems)
    return found


def read_adapters(references: Sequence[str], *, online: bool) -> dict[str, Checkpoint]:
    """Read the adapters of the references that name one (`base+adapter`). Raises as `read_models` does."""
    named = {r: adapter for r in references if (adapter := split_reference(r).adapter) is not None}
    found = collect(named.values(), lambda adapter: read_adapter(resolve_model(adapter, online=online)))
    return dict(zip(named, found, strict=True))


def with_adapters(models: Mapping[str, Model], adapters: Mapping[str, Checkpoint]) -> dict[str, Model]:
    """Return the models with each adapter laid on its base. Raises IncompatibleError for all that does not fit."""
    laid = collect(adapters, lambda name: apply_adapter(models[name].tensors, adapters[name]))
    changed = {
        name: replace(models[name], tensors=MappingProxyType(tensors))
        for name, tensors in zip(adapters, laid, strict=True)
    }
    return {name: changed.get(name, model) for name, model in models.items()}


def _resolve(reference: str, online: bool) -> Path:
    return resolve_model(split_reference(reference).model, online=online)


def family_problems(models: Sequence[Model]) -> list[Problem]:
    """Return a problem for each model of another architecture than the first one's."""
    first = models[0].config.get("model_type")
    must = f"All models must be of one architecture ({first})."
    return [
        Problem(must, str(model.config.get("model_type")), model.name)
        for model in models[1:]
        if model.config.get("model_type") != first
    ]


def vocabulary_problems(recipe: Recipe, models: Sequence[Model]) -> list[Problem]:
    """Return what keeps models of which some are stages from one vocabulary: all must share it as it is."""
    request = recipe.tokenizer_request
    digests = {model.name: vocabulary_digest(model.folder) for model in models}
    present = {name: digest for name, digest in digests.items() if digest is not None}
    if len(set(present.values())) > 1:
        got = f"{len(set(present.values()))} different vocabularies in {', '.join(present)}"
        must = "All models must share one vocabulary."
        return [Problem(must, got, "tokenizer.json", "Merge models of one tokenizer.")]
    if request.tokens or request.pad_to_multiple_of is not None:
        got = "single tokens" if request.tokens else "another padding"
        must = "Models that share their vocabulary keep it as it is."
        return [Problem(must, got, "tokenizer", "Remove tokens and pad_to_multiple_of.")]
    return []


def some(names: Sequence[str]) -> str:
    """Some of the names, and how many more."""
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more
