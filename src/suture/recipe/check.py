"""What a recipe shows to be wrong before any model is seen: parameters, base, number of models, roles, token sources.

Each problem has its place in the recipe, and where one line would set it right, that line.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from difflib import get_close_matches
from pathlib import Path

from suture.errors import Problem
from suture.methods.registry import REQUIRED, MethodInfo, Parameter
from suture.recipe.lookup import Chain
from suture.recipe.order import Order, order_of
from suture.recipe.references import split_reference
from suture.recipe.schema import Parameters, Recipe, Section
from suture.recipe.templates import TEMPLATES, is_template
from suture.recipe.tokenizer import BASE, UNION
from suture.recipe.values import Setting
from suture.strict_yaml import nearest

NEMO = (
    "Export it to safetensors with NVIDIA's checkpoint converter (nemo llm export, target hf), then name that folder."
)


def recipe_problems(recipe: Recipe) -> list[Problem]:
    """Return every problem of one recipe; those of its stages are their own."""
    info = recipe.method.info
    found = [*_parameter_names("parameters", recipe.parameters, _names(info)), *_base_problems(recipe, info)]
    for name, module in (recipe.modules or {}).items():
        found += _parameter_names(f"modules.{name}.parameters", module.parameters, _names(info))
    for section in recipe.sections:
        found += _section_problems(section, info)
    found += [*_role_problems(recipe), *_tokenizer_problems(recipe), *_file_problems(recipe)]
    return list(dict.fromkeys(found))


def _section_problems(section: Section, info: MethodInfo) -> Iterator[Problem]:
    order = order_of(info, section)
    if section.slice is not None:
        place, level = section.levels[0]
        yield from _parameter_names(place, level, _names(info))
    own = {parameter.name for parameter in info.parameters if parameter.per_model}
    for placed in order.inputs:
        of_model = placed in order.models
        place = f"{placed.place}.parameters"
        yield from _parameter_names(place, placed.entry.parameters, own if of_model else set(), info)
        yield from _information_problems(placed.place, placed.entry.information, info, of_model)
    if info.base == "required" and section.base_model is None:
        return  # said once, of the whole recipe
    if info.base == "required" and not order.has_base:
        must = "A slice must hold its base among its sources."
        advice = f"Add '- model: {section.base_model}' with its layer_range."
        yield Problem(must, f"no source '{section.base_model}'", section.place, advice)
        return
    count, most = len(order.inputs if info.base == "required" else order.models), info.max_inputs
    if count < info.min_inputs or (most is not None and count > most):
        span = f"exactly {most}" if most == info.min_inputs else f"at least {info.min_inputs}"
        span = span if most is None or most == info.min_inputs else f"{info.min_inputs} to {most}"
        counted = ", the base counted" if info.base == "required" else ""
        yield Problem(f"{info.name} takes {span} models{counted}.", str(count), section.place)
        return
    yield from _value_problems(section, info, order)


def _value_problems(section: Section, info: MethodInfo, order: Order) -> Iterator[Problem]:
    """Missing and impossible values; values that do not go together, where they are the same for all tensors."""
    lookup = order.lookup(info, section)
    whole = True
    for parameter in info.parameters:
        for number, chain in enumerate(lookup.chains[parameter.name]):
            where = f"{order.models[number].place}.parameters" if parameter.per_model else section.levels[-1][0]
            problems = list(_chain_problems(chain, f"{where}.{parameter.name}", info))
            whole = whole and not problems
            yield from problems
    if whole and lookup.constant:
        for sentence in info.check(lookup.at("", [""] * len(order.models), 0.0)):
            yield Problem(*split_sentence(sentence), where=f"{section.place}, parameters")


def _chain_problems(chain: Chain, where: str, info: MethodInfo) -> Iterator[Problem]:
    parameter = chain.parameter
    if parameter.default is REQUIRED and not chain.settings:
        advice = f"Add '{parameter.name}: …'."
        yield Problem(f"{info.name} needs {parameter.describe()}.", "nothing", where, advice)
    for place, setting in chain.settings:
        for clause in setting.clauses:
            for point in clause.points:
                sentence = parameter.problem(point)
                if sentence is not None:
                    yield Problem(*split_sentence(sentence), where=place)


def split_sentence(sentence: str) -> tuple[str, str]:
    """Split "x must be y. Got z." into what must hold and what was got."""
    must, _, got = sentence.partition(" Got ")
    return must, got.rstrip(".") or "a value that does not hold"


def _names(info: MethodInfo) -> set[str]:
    return {parameter.name for parameter in info.parameters}


def _parameter_names(
    place: str, level: Parameters, known: Collection[str], info: MethodInfo | None = None
) -> Iterator[Problem]:
    declared = {parameter.name: parameter for parameter in info.parameters} if info is not None else {}
    for name, setting in level.items():
        if name in known:
            continue
        where = f"{place}.{name}"
        if name in declared:
            yield _misplaced(where, declared[name], setting)
            continue
        close = get_close_matches(name, known, n=1, cutoff=0.6)
        if close:
            advice = f"Write '{_line(close[0], setting)}'."
        else:
            advice = "Remove it." + (f" Known here: {', '.join(sorted(known))}." if known else "")
        yield Problem("A parameter must be one that the method declares.", f"'{name}'", where, advice)


def _misplaced(where: str, parameter: Parameter, setting: Setting) -> Problem:
    if parameter.per_model:
        return Problem("The base takes no parameters.", f"'{parameter.name}'", where, "Remove it.")
    advice = f"Write '{_line(parameter.name, setting)}' under the recipe's (or the slice's) parameters."
    return Problem(
        "A parameter shared by all models has no value of one model's.", f"'{parameter.name}'", where, advice
    )


def _line(name: str, setting: Setting) -> str:
    written = setting.written()
    shown = str(written).lower() if isinstance(written, bool) else str(written)
    return f"{name}: {shown}"


def _base_problems(recipe: Recipe, info: MethodInfo) -> Iterator[Problem]:
    sections = recipe.sections
    if info.base == "required" and any(section.base_model is None for section in sections):
        yield Problem(f"{info.name} needs base_model.", "none", "base_model", "Name the base of the merge.")
    if info.base != "none":
        return
    listed = {entry.model for section in sections for entry in section.entries}
    bases = {section.base_model for section in sections} | {recipe.base_model}
    for base in sorted(base for base in bases - listed - {recipe.general} if base is not None):
        advice = "Remove it, list it as a model, or name it under general: too if it is to give config and tokenizer."
        yield Problem(f"{info.name} has no base.", base, "base_model", advice)


def _information_problems(place: str, file: str | None, info: MethodInfo, of_model: bool) -> Iterator[Problem]:
    where = f"{place}.information"
    if file is not None and (info.information == "none" or not of_model):
        who = "The base" if info.information != "none" else info.name
        yield Problem(f"{who} takes no information.", file, where, "Remove it.")
    if file is None and info.information != "none" and of_model:
        advice = f"Make it with suture calibrate MODEL --statistic {info.information}."
        yield Problem(f"{info.name} needs each model's {info.information} information.", "none", where, advice)


def _role_problems(recipe: Recipe) -> Iterator[Problem]:
    for role in ("general", "clinical"):
        name = getattr(recipe, role)
        if name is not None and name not in recipe.inputs:
            advice = nearest(name, recipe.inputs)
            yield Problem("A role must name a model of the recipe.", name, role, advice)


def _tokenizer_problems(recipe: Recipe) -> Iterator[Problem]:
    if recipe.chat_template is not None and not is_template(recipe.chat_template):
        must = f"chat_template must be auto, {', '.join(TEMPLATES)}, or Jinja source."
        yield Problem(must, f"'{recipe.chat_template[:60]}'", "chat_template", nearest(recipe.chat_template, TEMPLATES))
    keys = recipe.tokenizer
    source = keys.source if keys is not None else recipe.tokenizer_source
    place = "tokenizer.source" if keys is not None else "tokenizer_source"
    if source == BASE and recipe.base_model is None:
        yield Problem("The source base needs base_model.", "none", place, "Name base_model, or a model here.")
    elif source not in (None, UNION, BASE):
        yield from _not_a_model(recipe, str(source), place)
    for token, entry in (keys.tokens if keys is not None else {}).items():
        model = entry.source if isinstance(entry.source, str) else entry.source.model
        if model is not None:
            yield from _not_a_model(recipe, model, f"tokenizer.tokens.{token}.source")


def _not_a_model(recipe: Recipe, model: str, place: str) -> Iterable[Problem]:
    if model not in recipe.inputs:
        yield Problem("A token source must be a model of the recipe.", model, place, nearest(model, recipe.inputs))


def _file_problems(recipe: Recipe) -> Iterator[Problem]:
    for section in recipe.sections:
        for placed in order_of(recipe.method.info, section).inputs:
            parts = split_reference(placed.entry.model)
            for part in (parts.model, parts.adapter):
                if part is not None and Path(part).suffix.lower() == ".nemo":
                    yield Problem(
                        "A model must be a folder of safetensors.", f"'{part}'", f"{placed.place}.model", NEMO
                    )
