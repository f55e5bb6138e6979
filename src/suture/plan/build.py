"""The plan of a recipe: its stages first, each a model whose tensors are jobs, then the recipe itself."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from suture.checkpoint.chat import JINJA, chat_template_of, template_files
from suture.checkpoint.donor import choose_donor, template_notes
from suture.checkpoint.header import Checkpoint
from suture.checkpoint.layout import lay_out
from suture.checkpoint.source import Input
from suture.checkpoint.untrained import UntrainedRow
from suture.errors import IncompatibleError, Problem, refuse
from suture.ledger import natural_dtype
from suture.plan.arguments import Arguments
from suture.plan.jobs import FLOATS, NAMES, Plan, Roles, StagedInput, TensorJob
from suture.plan.known import Known
from suture.plan.models import (
    Model,
    collect,
    family_problems,
    read_adapters,
    read_information,
    read_models,
    some,
    with_adapters,
)
from suture.plan.reconcile import Reconciled, reconcile
from suture.plan.targets import Part, Target, Targets, targets_of
from suture.plan.tokens import share_vocabulary
from suture.recipe import Recipe
from suture.recipe.order import order_of
from suture.recipe.templates import AUTO


@dataclass(frozen=True)
class _Merged:
    """One recipe, planned: what a stage or a plan is made of."""

    jobs: tuple[TensorJob, ...]
    config: Mapping[str, Any]
    donor: Model
    notes: tuple[str, ...]
    files: Mapping[str, bytes]
    not_copied: tuple[str, ...]
    untrained: tuple[UntrainedRow, ...]


@dataclass(frozen=True)
class _Parents:
    """The models of all references as they are merged, and the checkpoints that are read: theirs, then adapters."""

    reconciled: Reconciled
    models: Mapping[str, Model]
    adapters: tuple[str, ...]
    checkpoints: tuple[Checkpoint, ...]


def make_plan(recipe: Recipe, *, online: bool = False, known: Known | None = None) -> Plan:
    """Read the headers of all models of `recipe` and return the plan. known: what plans of the same parents share.

    Raises BadInputError for models that are missing or malformed, IncompatibleError for models that do not fit: tensors
    that one lacks, shapes, vocabularies, architectures, layers; in both cases all problems together.
    """
    recipes = (*recipe.stages, recipe)
    stages = [str(stage.name) for stage in recipe.stages]
    used = [name for one in (recipe, *recipe.stages) for name in one.inputs if name not in stages]
    references = list(dict.fromkeys(used))
    known = known or Known()
    parents = known.get(
        ("parents", *references, recipe.general, recipe.base_model, tuple(recipe.inputs)),
        lambda: _read_parents(recipe, references, online=online),
    )
    files = _information_files(recipes)
    read = known.get(("information", *files), lambda: collect(files, read_information))
    information = dict(zip(files, read, strict=True))
    models, reconciled, checkpoints = dict(parents.models), parents.reconciled, parents.checkpoints
    if stages:
        known = Known()  # the models that stages make are other ones in each plan
    names = (*references, *stages)
    roles = _roles(recipe)
    for index, stage in enumerate(recipe.stages):
        merged = _merge(stage, models, checkpoints, information, None, reconciled.copied, known)
        models[str(stage.name)] = _as_model(stage, merged, len(references) + index)
    merged = _merge(recipe, models, checkpoints, information, roles, reconciled.copied, known)
    described = tuple((job.name, job.dtype, job.shape) for job in merged.jobs)
    most = recipe.max_shard_bytes
    layout = known.get(("layout", described, most), lambda: lay_out(described, most))
    at = Roles(names.index(roles[0]), names.index(roles[1])) if roles is not None else None
    return Plan(
        recipe=recipe,
        checkpoints=(*checkpoints, *information.values()),
        inputs=(*references, *(f"adapter of {name}" for name in parents.adapters), *files),
        models=names,
        donor=merged.donor.name,
        donor_index=merged.donor.checkpoint,
        config=merged.config,
        files=_with_template(merged.files, _files(recipe, merged.donor, [models[name] for name in recipe.inputs])),
        jobs=merged.jobs,
        layout=layout,
        roles=at,
        notes=(*recipe.notes, *reconciled.notes, *merged.notes),
        dropped=reconciled.dropped,
        not_copied=merged.not_copied,
        untrained=merged.untrained,
    )


def _read_parents(recipe: Recipe, references: Sequence[str], *, online: bool) -> _Parents:
    models, checkpoints = read_models(references, online=online)
    adapters = read_adapters(references, online=online)
    reconciled = reconcile(models, checkpoints, _donor_among(recipe, models, references))
    laid = with_adapters(reconciled.models, adapters)
    return _Parents(reconciled, laid, tuple(adapters), (*checkpoints, *adapters.values()))


def _donor_among(recipe: Recipe, models: Mapping[str, Model], references: Sequence[str]) -> int:
    """Position of the donor among the references; 0 where the rule is silent, which is refused later."""
    folders = {name: models[name].folder for name in recipe.inputs if name in models}
    chosen = choose_donor(recipe.general, recipe.base_model, folders) if folders else references[0]
    return references.index(chosen) if isinstance(chosen, str) and chosen in references else 0


def _merge(
    recipe: Recipe,
    models: Mapping[str, Model],
    checkpoints: Sequence[Checkpoint],
    information: Mapping[str, Checkpoint],
    roles: tuple[str, str] | None,
    copied: frozenset[str],
    known: Known,
) -> _Merged:
    """Plan one recipe whose models are all known. Raises IncompatibleError with all problems."""
    used = [models[name] for name in recipe.inputs]
    folders = {model.name: model.folder for model in used}
    among = (recipe.name, recipe.general, recipe.base_model, *(id(model) for model in used))
    chosen = known.get(("donor", among), lambda: choose_donor(recipe.general, recipe.base_model, folders))
    donor = used[0] if isinstance(chosen, Problem) else models[chosen]
    tokens = known.get(
        ("tokens", among, repr(recipe.tokenizer_request)),
        lambda: share_vocabulary(recipe, used, donor, checkpoints),
    )
    models = {**models, **{model.name: model for model in tokens.models}}
    used, donor = [models[name] for name in recipe.inputs], models[donor.name]
    info = recipe.method.info
    parts = [
        Part(number, section, order, tuple(models[placed.entry.model] for placed in order.inputs))
        for number, section in enumerate(recipe.sections)
        for order in [order_of(info, section)]
    ]
    problems = [*family_problems(used), *tokens.problems]
    targets, misshapen = known.get(
        ("targets", id(donor), *(_identity(part) for part in parts)),
        lambda: ((found := targets_of(parts, donor)), _shape_problems(found.all, parts)),
    )
    problems += [*targets.problems, *misshapen]
    if isinstance(chosen, Problem) and recipe.name is None:
        problems.append(chosen)
    refuse(IncompatibleError, problems)
    jobs, notes = _jobs(recipe, parts, targets, donor, information, roles, copied)
    kept = known.get(("templates", among), lambda: template_notes(donor.name, folders))
    kept = kept if recipe.chat_template is None else ()
    config = tokens.config(targets.config, donor.name)
    said = (*notes, *tokens.notes, *kept)
    return _Merged(jobs, config, donor, said, tokens.files, tokens.not_copied, tokens.untrained)


def _identity(part: Part) -> Hashable:
    """What the targets of a part depend on."""
    section, layers = part.section, [entry.layers for entry in part.section.entries]
    return section.place, section.module, section.slice, *layers, *(id(model) for model in part.models)


def _jobs(
    recipe: Recipe,
    parts: Sequence[Part],
    targets: Targets,
    donor: Model,
    information: Mapping[str, Checkpoint],
    roles: tuple[str, str] | None,
    copied: frozenset[str],
) -> tuple[tuple[TensorJob, ...], tuple[str, ...]]:
    method = recipe.method
    arguments = Arguments(method.info, parts)
    by_number = {part.number: part for part in parts}
    at_roles = {part.number: _roles_among(part.models, roles) for part in parts}
    jobs: list[TensorJob] = []
    problems: list[Problem] = []
    for target in targets.all:
        part = by_number[target.section]
        inputs = tuple(model.tensors[name] for model, name in zip(part.models, target.sources, strict=True))
        models = tuple(model.index for model in part.models)
        first = inputs[0]
        dtypes = list(dict.fromkeys(given.dtype for given in inputs))
        if len(dtypes) > 1 and any(dtype not in NAMES for dtype in dtypes):
            must = "A tensor must be a float in every model, or of one other dtype in every model."
            problems.append(
                Problem(must, f"'{target.name}' {' and '.join(dtypes)}", ", ".join(m.name for m in part.models))
            )
            continue
        if dtypes[0] not in NAMES or all(name in copied for name in target.sources):
            jobs.append(_copy(recipe, target, inputs, models, donor))
            continue
        shape = first.shape
        written = FLOATS[recipe.written_dtype] if recipe.written_dtype else natural_dtype(inputs)
        extra = _information(part, target, inputs, information, problems)
        found = arguments.at(target)
        role = at_roles[target.section]
        jobs.append(TensorJob(target.name, "merge", written, shape, inputs, method, found, models, role, extra))
    problems += arguments.problems()
    unmatched = list(arguments.unmatched(targets.all))
    if not recipe.lenient:
        advice = "Write a part of their names, or remove the entry."
        problems += [
            Problem("A filter must match a tensor.", f"'{text}', which matches none", place, advice)
            for place, text in unmatched
        ]
    refuse(IncompatibleError, problems)
    notes = tuple(f"{place}: the filter '{text}' matches no tensor and is ignored" for place, text in unmatched)
    return tuple(jobs), notes


def _copy(
    recipe: Recipe, target: Target, inputs: tuple[Input, ...], models: tuple[int, ...], donor: Model
) -> TensorJob:
    """A tensor that cannot be averaged; what stages only hand on is compared with all that they read."""
    flat: list[tuple[Input, int]] = []
    for one, model in zip(inputs, models, strict=True):
        if isinstance(one, StagedInput) and one.job.action == "copy":
            flat += zip(one.job.inputs, one.job.models, strict=True)
        else:
            flat.append((one, model))
    source = next((at for at, (_, model) in enumerate(flat) if model == donor.index), 0)
    first = flat[source][0]
    return TensorJob(
        target.name,
        "copy",
        first.dtype,
        first.shape,
        tuple(given for given, _ in flat),
        recipe.method,
        {},
        tuple(model for _, model in flat),
        source=source,
    )


def _information(
    part: Part,
    target: Target,
    inputs: Sequence[Input],
    files: Mapping[str, Checkpoint],
    problems: list[Problem],
) -> tuple[Input, ...]:
    """The information tensors of one target: for each model that has parameters of its own, or for none."""
    first = int(part.order.has_base)
    found: list[Input | None] = []
    for placed, name in zip(part.order.models, target.sources[first:], strict=True):
        file = placed.entry.information
        found.append(files[file].tensors.get(name) if file is not None else None)
    present = [given for given in found if given is not None]
    if len(present) not in (0, len(found)):
        must = "Information of a tensor must stand in every model's file, or in none."
        problems.append(Problem(must, f"{len(present)} of {len(found)}", target.name))
        return ()
    return tuple(present)


def _shape_problems(targets: Sequence[Target], parts: Sequence[Part]) -> list[Problem]:
    by_number = {part.number: part for part in parts}
    reshaped: dict[tuple[str, str], list[str]] = {}
    for target in targets:
        part = by_number[target.section]
        given = [(m, m.tensors[n]) for m, n in zip(part.models, target.sources, strict=True) if n in m.tensors]
        if not given or len({one.shape for _, one in given}) == 1:
            continue
        name, shape = given[0][0].name, given[0][1].shape
        for model, one in given[1:]:
            if one.shape != shape:
                said = f"'{target.name}' {list(one.shape)} instead of {list(shape)}"
                reshaped.setdefault((name, model.name), []).append(said)
    return [
        Problem(f"Shapes must be those of {first}.", f"{len(found)} others: {some(found)}", name)
        for (first, name), found in reshaped.items()
    ]


def _as_model(stage: Recipe, merged: _Merged, index: int) -> Model:
    """The result of a stage as a model of later ones. A stage that names its dtype hands on what it would write."""
    rounding: Literal["none", "nearest", "stochastic"] = stage.rounding if stage.written_dtype else "none"
    tensors: dict[str, Input] = {job.name: StagedInput(job, rounding, stage.seed) for job in merged.jobs}
    donor = merged.donor
    return Model(str(stage.name), index, tensors, merged.config, donor.folder, donor.checkpoint)


def _information_files(recipes: Sequence[Recipe]) -> list[str]:
    found = [e.information for recipe in recipes for section in recipe.sections for e in section.entries]
    return list(dict.fromkeys(file for file in found if file is not None))


def _roles(recipe: Recipe) -> tuple[str, str] | None:
    """Return general and clinical: as named, else first and second of exactly two models."""
    names = _merged_names(recipe)
    if recipe.general is not None and recipe.clinical is not None:
        return recipe.general, recipe.clinical
    if len(names) != 2:
        return None
    first, second = names
    if recipe.general == second or recipe.clinical == first:
        return second, first
    return first, second


def _merged_names(recipe: Recipe) -> list[str]:
    info = recipe.method.info
    names = [placed.entry.model for section in recipe.sections for placed in order_of(info, section).inputs]
    return list(dict.fromkeys(names))


def _roles_among(models: Sequence[Model], roles: tuple[str, str] | None) -> Roles | None:
    names = [model.name for model in models]
    if roles is None or roles[0] not in names or roles[1] not in names:
        return None
    return Roles(names.index(roles[0]), names.index(roles[1]))


def _files(recipe: Recipe, donor: Model, models: Sequence[Model]) -> dict[str, bytes]:
    """The small files that replace the donor's: the chat template, where the recipe asks for one."""
    template = recipe.tokenizer_request.chat_template
    if template is None:
        return {}
    if template == AUTO:
        found = [text for model in models if (text := chat_template_of(model.folder))]
        template = max(found, key=found.count) if found else None
    return {} if template is None else template_files(donor.folder, template)


def _with_template(files: Mapping[str, bytes], template: Mapping[str, bytes]) -> dict[str, bytes]:
    """The files of another vocabulary, with the chat template that the recipe asks for in its own file."""
    return {**files, **{name: raw for name, raw in template.items() if name not in files or name == JINJA}}
