"""The parameters of each tensor, and what shows only when the tensors are known: values that are missing for some,
values that do not go together, filters that match nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from suture.errors import Problem
from suture.methods.registry import REQUIRED, MethodInfo
from suture.plan.models import some
from suture.plan.targets import Part, Target
from suture.recipe.check import split_sentence
from suture.recipe.lookup import Lookup


class Arguments:
    """The arguments of all targets of a recipe, looked up once; problems are gathered on the way."""

    def __init__(self, info: MethodInfo, parts: Sequence[Part]) -> None:
        self.info = info
        self._lookups: Mapping[int, Lookup] = {part.number: part.order.lookup(info, part.section) for part in parts}
        self._first_own = {part.number: int(part.order.has_base) for part in parts}
        self._parts = parts
        self._checked: dict[int, Mapping[str, Any]] = {}
        self._missing: dict[tuple[str, str], list[str]] = {}
        self._together: dict[str, list[str]] = {}

    def at(self, target: Target) -> Mapping[str, Any]:
        """The arguments for one tensor, keyed as the method takes them."""
        lookup = self._lookups[target.section]
        found = lookup.at(target.name, target.sources[self._first_own[target.section] :], target.t)
        if id(found) not in self._checked:
            self._checked[id(found)] = found
            self._check(target, found)
        return found

    def problems(self) -> list[Problem]:
        """What was found wrong on the way."""
        problems = [
            Problem(f"'{name}' must have a value for every tensor.", f"none for {some(tensors)}", place)
            for (place, name), tensors in self._missing.items()
        ]
        for sentence, tensors in self._together.items():
            problems.append(Problem(*split_sentence(sentence), where=f"parameters, {some(tensors)}"))
        return problems

    def unmatched(self, targets: Sequence[Target]) -> Iterator[tuple[str, str]]:
        """Place and text of each filter that matches no tensor that it is held against."""
        hits: dict[tuple[str, str], bool] = {}
        outputs: dict[int, list[str]] = {}
        sources: dict[int, list[Sequence[str]]] = {}
        for target in targets:
            outputs.setdefault(target.section, []).append(target.name)
            sources.setdefault(target.section, []).append(target.sources)
        for part in self._parts:
            first = self._first_own[part.number]
            joined = "\n".join(outputs.get(part.number, []))
            columns = ["\n".join(column) for column in zip(*sources.get(part.number, []), strict=True)][first:]
            for parameter in self.info.parameters:
                for number, chain in enumerate(self._lookups[part.number].chains[parameter.name]):
                    names = (columns[number] if columns else "") if parameter.per_model else joined
                    for place, setting in chain.settings:
                        for text in _filters(setting.clauses):
                            hits[place, text] = hits.get((place, text), False) or text in names
        return (key for key, hit in hits.items() if not hit)

    def _check(self, target: Target, found: Mapping[str, Any]) -> None:
        place = self._parts[0].section.levels[-1][0]
        part = next(part for part in self._parts if part.number == target.section)
        whole = True
        for parameter in self.info.parameters:
            values = found[parameter.argument] if parameter.per_model else (found[parameter.argument],)
            for number, value in enumerate(values):
                if value is REQUIRED:
                    where = f"{part.order.models[number].place}.parameters" if parameter.per_model else place
                    self._missing.setdefault((where, parameter.name), []).append(target.name)
                    whole = False
        if whole:
            for sentence in self.info.check(found):
                self._together.setdefault(sentence, []).append(target.name)


def _filters(clauses: Iterable[Any]) -> Iterator[str]:
    return (clause.filter for clause in clauses if clause.filter is not None)
