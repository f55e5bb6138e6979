"""The exception tree: one class for each thing that a user can do about it, each with its exit code.

    SutureError                  1   (never raised itself)
    ├── UsageError               2   the command, the recipe or the study file must change
    ├── BadInputError            3   an input file is missing or malformed
    ├── IncompatibleError        4   the models do not fit together
    ├── OutputExistsError        5   the output is there already, or another run holds it
    ├── ResourceError            6   disk or memory is short
    ├── NumericError             7   NaN, infinity or overflow
    ├── MissingExtraError        8   an optional package or a licence is missing
    ├── InterruptedRunError      9   stopped; run the same command again and it goes on
    └── IntegrityError          10   a digest does not match

An error carries every problem that was found, not only the first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong.

    must: what has to hold. got: what was found instead. where: file, tensor, or place in the recipe. do: what to do.
    None of the four may carry patient text.
    """

    must: str
    got: str
    where: str = ""
    do: str = ""

    def __str__(self) -> str:
        place = f"{self.where}: " if self.where else ""
        advice = f" {self.do}" if self.do else ""
        return f"{place}{self.must} Got {self.got}.{advice}"


class SutureError(Exception):
    """Base of every error that Suture raises on purpose."""

    exit_code = 1
    told = False  # True where another process of the same run says it

    def __init__(self, *problems: Problem) -> None:
        self.problems: tuple[Problem, ...] = problems
        super().__init__("\n".join(str(problem) for problem in problems))

    def __reduce__(self) -> tuple[type[SutureError], tuple[Problem, ...]]:
        """Errors cross process borders with their problems."""
        return type(self), self.problems


class UsageError(SutureError):
    """The command line, the recipe or the study file must change."""

    exit_code = 2


class BadInputError(SutureError):
    """An input file is missing, unreadable or malformed."""

    exit_code = 3


class IncompatibleError(SutureError):
    """The models cannot be merged or compared with one another."""

    exit_code = 4


class OutputExistsError(SutureError):
    """The output exists already, or another run is writing it."""

    exit_code = 5


class ResourceError(SutureError):
    """Disk or memory does not suffice."""

    exit_code = 6


class NumericError(SutureError):
    """A value is not finite, or does not fit the output type."""

    exit_code = 7


class MissingExtraError(SutureError):
    """An optional package, a data package or a licence is missing."""

    exit_code = 8


class InterruptedRunError(SutureError):
    """The run was stopped and can be continued by the same command."""

    exit_code = 9


class IntegrityError(SutureError):
    """Bytes differ from what their digest says."""

    exit_code = 10


def some(ids: Sequence[str], most: int = 5) -> str:
    """Return the first of some ids for a message, and a sign where there are more."""
    return ", ".join(ids[:most]) + (", ..." if len(ids) > most else "")


def refuse(kind: type[SutureError], problems: Sequence[Problem]) -> None:
    """Raise `kind` with all `problems`, or return where there are none."""
    if problems:
        raise kind(*problems)
