"""Parameters of merge methods: each is declared once and prints itself in errors, help and documentation."""

from __future__ import annotations

import keyword
import math
from dataclasses import dataclass
from typing import Any, Final, Literal

Kind = Literal["float", "int", "bool", "choice"]


class _Required:
    def __repr__(self) -> str:
        return "required"


REQUIRED: Final = _Required()
"""The default of a parameter that the recipe must give."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of a method.

    name: the key in the recipe. meaning: one phrase. default: REQUIRED where the recipe must give it. low, high: the
    range of a number, either end open where said so (infinite ends always are). choices: the words of a choice.
    per_model: one value for each non-base input (for each input where the method has no base). unit: "" where there is
    none. booleans: the choices that false and true stand for in a recipe of the reference merger.
    """

    name: str
    meaning: str
    kind: Kind
    default: Any = REQUIRED
    low: float = -math.inf
    high: float = math.inf
    low_open: bool = False
    high_open: bool = False
    choices: tuple[str, ...] = ()
    per_model: bool = False
    unit: str = ""
    booleans: tuple[str, str] | None = None

    @property
    def required(self) -> bool:
        """Whether the recipe must give it."""
        return self.default is REQUIRED

    @property
    def argument(self) -> str:
        """The keyword under which the method takes it: the name, with an underscore where Python reserves it."""
        return f"{self.name}_" if keyword.iskeyword(self.name) else self.name

    @property
    def domain(self) -> str:
        """What a value may be: "a float in (0, 1]"."""
        if self.kind == "bool":
            return "true or false"
        if self.kind == "choice":
            return "one of " + ", ".join(f'"{choice}"' for choice in self.choices)
        noun = "a float" if self.kind == "float" else "an int"
        if math.isinf(self.low) and math.isinf(self.high):
            return "a finite float" if self.kind == "float" else noun
        left = "(" if self.low_open or math.isinf(self.low) else "["
        right = ")" if self.high_open or math.isinf(self.high) else "]"
        return f"{noun} in {left}{self.low:g}, {self.high:g}{right}"

    @property
    def must(self) -> str:
        """What has to hold, as a sentence: "density must be a float in (0, 1]."."""
        return f"{self.name} must be {self.domain}."

    def problem(self, value: object) -> str | None:
        """What is wrong with `value` (one model's, where per_model), as a sentence; None where nothing is."""
        return None if self._holds(value) else f"{self.must} Got {_shown(value)}."

    def describe(self) -> str:
        """One line of help."""
        default = "required" if self.required else f"default {_shown(self.default)}"
        unit = f" {self.unit}" if self.unit else ""
        per_model = ", one for each model" if self.per_model else ""
        return f"{self.name}: {self.meaning}; {self.domain}{unit}{per_model}; {default}"

    def _holds(self, value: object) -> bool:
        if self.kind == "bool":
            return isinstance(value, bool)
        if self.kind == "choice":
            return value in self.choices
        if isinstance(value, bool) or not isinstance(value, int | float if self.kind == "float" else int):
            return False
        above = self.low < value if self.low_open else self.low <= value
        below = value < self.high if self.high_open else value <= self.high
        return above and below and math.isfinite(value)


def _shown(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else f'"{value}"' if isinstance(value, str) else str(value)
