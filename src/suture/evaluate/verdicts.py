"""Verdicts on verifiable instructions: strict, loose, and what of them hangs on a draw.

The rules of IFEval's published evaluation (google-research, instruction_following_eval/evaluation_lib.py), which
IFBench shares: an instruction is followed strictly where the answer is not blank and its verifier passes; loosely where
the verifier passes on any of eight forms of the answer that is not blank (asterisks removed or not; first, last, both
or no line dropped). The verifiers themselves come from a `Verifiers`.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from suture.evaluate.languages import Languages

Check = Callable[[str], bool]
# What a verifier may raise on an answer that it was not written for; the published scripts stop there.
_STUMBLES = (IndexError, ValueError, ZeroDivisionError, KeyError, re.error)


@dataclass(frozen=True, slots=True)
class Judged:
    """One verdict: as published, repaired, and its least and greatest value over the draws of the published code."""

    published: bool
    repaired: bool
    least: bool
    greatest: bool


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one answer does with one instruction.

    approximate: the verifier had to be replaced by a rule, so that least is False and greatest True.
    """

    instruction: str
    strict: Judged
    loose: Judged
    approximate: bool = False

    @property
    def drawn(self) -> bool:
        """Whether another draw of the published code may change the verdict."""
        changes = any(judged.least != judged.greatest for judged in (self.strict, self.loose))
        return changes and not self.approximate


@dataclass(frozen=True, slots=True)
class Instructions:
    """One prompt with its verifiable instructions; kwargs holds the arguments of each."""

    key: str
    prompt: str
    ids: tuple[str, ...]
    kwargs: tuple[Mapping[str, Any], ...]


@dataclass(frozen=True, slots=True)
class Verifiers:
    """A benchmark's verifiers: id -> class, who drew what in older revisions, and which are approximate here.

    others(id, arguments) gives further checks that the published code may draw instead of its own.
    """

    classes: Mapping[str, Any]
    make: Callable[[str, Mapping[str, Any], str], Check]
    others: Callable[[str, Mapping[str, Any]], Sequence[Check]]
    approximate: frozenset[str] = frozenset()


def arguments(kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments that are given: all but None, so that 0 and "" stay (the harness drops those too)."""
    return {name: value for name, value in kwargs.items() if value is not None}


def published_check(classes: Mapping[str, Any], identifier: str, given: Mapping[str, Any], prompt: str) -> Check:
    """Build a verifier as the published evaluation does, what the arguments leave open drawn with seed 0.

    Raises TypeError, ValueError or AttributeError where the arguments do not fit the instruction.
    """
    with _own_draws():
        instruction = classes[identifier](identifier)
        instruction.build_description(**given)
        wanted = instruction.get_instruction_args()
        if wanted and "prompt" in wanted:
            instruction.build_description(prompt=prompt)
    check: Check = instruction.check_following
    return check


def judge(item: Instructions, response: str, verifiers: Verifiers, languages: Languages) -> tuple[Verdict, ...]:
    """Return the verdict on each instruction of `item`, in order. Call it inside `languages.listening()`."""
    found = []
    forms = loose_forms(response)
    for identifier, kwargs in zip(item.ids, item.kwargs, strict=True):
        given = arguments(kwargs)
        check = verifiers.make(identifier, given, item.prompt)
        others = [_passes_any(other, forms) for other in verifiers.others(identifier, given)]
        draws = [_passes_any(check, forms)]
        if languages.unsure():
            draws += [_passes_any(check, forms) for _ in languages.further_draws()]
        approximate = identifier in verifiers.approximate
        unknown = [False, True] if approximate else []
        strict = _judged([draw[0] for draw in draws], [*unknown, *(other[0] for other in others)])
        loose = _judged([draw[1] for draw in draws], [*unknown, *(other[1] for other in others)])
        found.append(Verdict(identifier, strict, loose, approximate))
    return tuple(found)


def failed(item: Instructions) -> tuple[Verdict, ...]:
    """Return the verdicts on an answer that is not there: nothing is followed."""
    no = Judged(False, False, False, False)
    return tuple(Verdict(identifier, no, no) for identifier in item.ids)


def loose_forms(response: str) -> tuple[str, ...]:
    """Return the distinct forms of which a loose verdict needs one to pass, the answer itself first."""
    lines = response.split("\n")
    shortened = ["\n".join(part).strip() for part in (lines[1:], lines[:-1], lines[1:-1])]
    forms = [response, *shortened]
    return tuple(dict.fromkeys([*forms, *(form.replace("*", "") for form in forms)]))


def _passes_any(check: Check, forms: Sequence[str]) -> tuple[bool, bool]:
    """Return (the first form passes, any form passes)."""
    strict = _passes(check, forms[0])
    return strict, strict or any(_passes(check, form) for form in forms[1:])


def _passes(check: Check, text: str) -> bool:
    try:
        return bool(text.strip() and check(text))
    except _STUMBLES:
        return False


def _judged(draws: Sequence[bool], others: Sequence[bool]) -> Judged:
    yes = sum(draws)
    repaired = draws[0] if 2 * yes == len(draws) else 2 * yes > len(draws)
    all_of_them = [*draws, *others]
    return Judged(draws[0], repaired, all(all_of_them), any(all_of_them))


@contextmanager
def _own_draws() -> Iterator[None]:
    """Give the verifiers a generator seeded with 0, and leave Python's as it was."""
    state = random.getstate()
    random.seed(0)
    try:
        yield
    finally:
        random.setstate(state)
