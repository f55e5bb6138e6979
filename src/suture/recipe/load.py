"""Recipes from files and texts: one document, or several that name one another; every problem of all of them at once.

Of several documents, the one without a name is the result; where all have names, the last. The others are its stages,
put in the order in which they need one another.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from suture.errors import BadInputError, Problem, UsageError, refuse
from suture.recipe.check import recipe_problems
from suture.recipe.compat import translated
from suture.recipe.presets import written_out
from suture.recipe.schema import Recipe
from suture.strict_yaml import Document, Place, documents_of, read_text, validated


def load_recipe(path: Path, *, compat: bool = False) -> Recipe:
    """Read and check a recipe file. Raises BadInputError (no file) or UsageError with every problem found.

    compat: the file is a recipe of mergekit 0.1.5; what that program ignores is ignored, each with a note.
    """
    if not path.is_file():
        raise BadInputError(Problem("The file must exist.", "no such file", str(path), "Check the path."))
    return parse_recipe(read_text(path), str(path), compat=compat)


def parse_recipe(text: str, origin: str = "recipe", *, compat: bool = False) -> Recipe:
    """Read and check a recipe from YAML text; `origin` names it in messages. See load_recipe."""
    problems: list[Problem] = []
    recipes: list[Recipe] = []
    for document in documents_of(text, origin, lenient=compat):
        notes: tuple[str, ...] = ()
        if compat:
            document, notes = translated(document)
        document = written_out(document)
        try:
            recipe = validated(document, Recipe).with_notes(notes, lenient=compat)
        except UsageError as error:
            problems += error.problems
            continue
        recipes.append(recipe)
        problems += [p for one in (*recipe.stages, recipe) for p in _placed(recipe_problems(one), document)]
    refuse(UsageError, problems)
    return recipes[0] if len(recipes) == 1 and not recipes[0].stages else _joined(recipes)


def _placed(problems: Sequence[Problem], document: Document) -> list[Problem]:
    """The problems with the line of their place, where the place is written."""
    return [replace(problem, where=_with_line(problem.where, document)) for problem in problems]


def _with_line(where: str, document: Document) -> str:
    words = re.findall(r"[^.\[\]]+", where)
    place: Place = tuple(int(word) if word.isdigit() else word for word in words)
    written = next((place[:n] for n in range(len(place), 0, -1) if place[:n] in document.lines), None)
    return where if written is None else f"{document.origin}, line {document.lines[written]}, {where}"


def _joined(documents: Sequence[Recipe]) -> Recipe:
    """Return the result with its stages in order. Raises UsageError for names missing, twice or in a circle."""
    unnamed = [recipe for recipe in documents if recipe.name is None]
    if len(unnamed) > 1:
        got = f"{len(unnamed)} of {len(documents)} without"
        raise UsageError(Problem("All documents but one must have a name.", got, "name", "Add 'name: …'."))
    last = unnamed[0] if unnamed else documents[-1]
    others = [recipe for recipe in documents if recipe is not last] + [s for r in documents for s in r.stages]
    names = [recipe.name for recipe in others]
    if None in names or len(set(names)) != len(names):
        got = ", ".join(str(name) for name in names)
        raise UsageError(Problem("Each stage must have a name of its own.", got, "name"))
    by_name = {str(recipe.name): recipe for recipe in others}
    order: dict[str, None] = {}
    _visit(last, by_name, order, ())
    unused = [name for name in by_name if name not in order]
    refuse(
        UsageError,
        [
            Problem(
                "Every stage must be used by another.", f"'{n}' unused", "name", "Remove it, or name it as a model."
            )
            for n in unused
        ],
    )
    notes = last.notes
    return last.model_copy(
        update={"stages": tuple(by_name[name].model_copy(update={"stages": ()}) for name in order)}
    ).with_notes(notes)


def _visit(recipe: Recipe, by_name: Mapping[str, Recipe], order: dict[str, None], path: tuple[str, ...]) -> None:
    for name in recipe.inputs:
        if name not in by_name or name in order:
            continue
        if name in path:
            got = " needs ".join((*path[path.index(name) :], name))
            raise UsageError(Problem("Stages must not need one another in a circle.", got, "name"))
        _visit(by_name[name], by_name, order, (*path, name))
        order[name] = None
