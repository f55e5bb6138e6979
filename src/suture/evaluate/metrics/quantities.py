"""Numbers and quantities in a clinical text, so that "0.5 g", "500 mg" and "five hundred milligrams" are one.

Units and their conversion by Pint, with the units of the ward added (international units, milliequivalents, tablets,
drops, puffs, beats); number words by word2number. A mark of a list ("2." at the start of a line) is no number, nor are
digits inside a word or a code ("T12", "L4-5", "COVID-19").
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.metadata import version
from typing import Any

_ALIASES = {
    "mgs": "mg", "milligram": "mg", "milligrams": "mg", "mcg": "microgram", "mcgs": "microgram", "µg": "microgram",
    "ug": "microgram", "micrograms": "microgram", "microgram": "microgram", "gm": "g", "gms": "g", "gram": "g",
    "grams": "g", "kgs": "kg", "kilo": "kg", "kilos": "kg", "kilogram": "kg", "kilograms": "kg", "lbs": "pound",
    "lb": "pound", "pounds": "pound", "cc": "milliliter", "ccs": "milliliter", "ml": "milliliter",
    "mls": "milliliter", "milliliters": "milliliter", "l": "liter", "liters": "liter", "litres": "liter",
    "dl": "deciliter", "ounces": "ounce", "oz": "ounce", "cms": "cm", "centimeters": "cm", "centimeter": "cm",
    "centimetres": "cm", "millimeters": "mm", "millimeter": "mm", "meters": "meter", "inches": "inch", "feet": "foot",
    "ft": "foot", "mmhg": "millimeter_Hg", "%": "percent", "unit": "international_unit",
    "units": "international_unit", "iu": "international_unit", "u": "international_unit", "meq": "milliequivalent",
    "mmol": "millimole", "tablets": "tablet", "tabs": "tablet", "tab": "tablet", "pills": "tablet", "pill": "tablet",
    "capsules": "tablet", "capsule": "tablet", "drops": "drop", "puffs": "puff", "bpm": "beat / minute",
    "weeks": "week", "days": "day", "months": "month", "years": "year", "yrs": "year", "yr": "year",
    "year-old": "year", "years-old": "year", "hours": "hour", "hrs": "hour", "hr": "hour", "minutes": "minute",
    "mins": "minute", "seconds": "second", "degrees": "degree_of_temperature", "f": "degree_of_temperature",
}  # fmt: skip
_PLAIN: tuple[str, ...] = (
    "mg",
    "g",
    "kg",
    "pound",
    "milliliter",
    "liter",
    "ounce",
    "cm",
    "mm",
    "meter",
    "inch",
    "foot",
    "percent",
)
_PLAIN += ("percent", "tablet", "drop", "puff", "week", "day", "month", "year", "hour", "minute", "second")
_UNITS = sorted({*_ALIASES, *_PLAIN, "mg/dl", "g/dl", "mmol/l", "meq/l", "mg/kg", "ml/hr", "mcg/kg"}, key=len)[::-1]
_UNIT = "|".join(map(re.escape, _UNITS))
_ONES = "zero|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|thirteen|fourteen|fifteen|sixteen"
_WORD = (
    rf"(?:{_ONES}|seventeen|eighteen|nineteen|twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety|hundred|thousand)"
)
_WORDS = rf"{_WORD}(?:[ -](?:and )?{_WORD})*"
_NUMBER = r"\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?|(?<!\d)\.\d+"
_QUANTITY = re.compile(
    rf"(?<![\w.])(?P<number>{_NUMBER}|\b{_WORDS})(?:[ -]?(?P<unit>{_UNIT})(?![\w/]))?(?!\w)", re.IGNORECASE
)
_CODE = re.compile(r"\b[A-Za-z]+-?\d[\w-]*")  # T12, L4-5, COVID-19
_LIST_MARK = re.compile(r"(?m)^\s*\d{1,2}[.)](?=\s)")
_JOINED = re.compile(r"(?<=\d)\s*(?:/|x|-|–|to)\s*(?=\d)")


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number in a text.

    value: in base units, six digits; dimension: "" for none; written: the number as it stands, six digits.
    """

    value: str
    dimension: str
    written: str

    @property
    def is_dose(self) -> bool:
        """Whether it is a mass, a volume, an activity or a count of tablets, drops or puffs."""
        return self.dimension in ("[mass]", "[length] ** 3", "[activity_iu]", "[dosage_form]", "[equivalents]")


def signature() -> str:
    """Return the libraries and their versions."""
    return f"pint {version('pint')}, word2number {version('word2number')}"


def quantities(text: str) -> list[Quantity]:
    """Return every number of `text`, in order."""
    return list(_quantities(text))


def _quantities(text: str) -> Iterator[Quantity]:
    bare = _LIST_MARK.sub(lambda mark: " " * len(mark[0]), text)
    bare = _CODE.sub(lambda code: " " * len(code[0]), bare)
    bare = _JOINED.sub(lambda joint: " " * len(joint[0]), bare)  # 120/80, 5.1 x 2.8, 1-2: two numbers each
    for match in _QUANTITY.finditer(bare):
        number = _number(match["number"].lower())
        if number is None or (match["number"].lower() == "one" and not match["unit"]):  # "one" is mostly a pronoun
            continue
        value, dimension = _base(number, (match["unit"] or "").lower())
        yield Quantity(f"{value:.6g}", dimension, f"{number:.6g}")


@lru_cache(maxsize=4096)
def _number(text: str) -> float | None:
    if text[0].isdigit() or text[0] == ".":
        return float(text.replace(",", ""))
    from word2number import w2n

    try:
        return float(w2n.word_to_num(text))
    except (ValueError, IndexError):
        return None


@lru_cache(maxsize=4096)
def _base(number: float, unit: str) -> tuple[float, str]:
    if not unit:
        return number, ""
    name = " / ".join(_ALIASES.get(part, part) for part in unit.split("/"))
    quantity = (number * _registry().Unit(name)).to_base_units()
    dimension = str(quantity.dimensionality)
    return float(quantity.magnitude), "percent" if name == "percent" else dimension


@cache
def _registry() -> Any:
    import pint

    registry: Any = pint.UnitRegistry(cache_folder=None)
    for line in (
        "international_unit = [activity_iu]",
        "equivalent = [equivalents]",
        "milliequivalent = 0.001 * equivalent",
        "tablet = [dosage_form]",
        "drop = [drops]",
        "puff = [puffs]",
        "beat = [beats]",
        "degree_of_temperature = [body_temperature]",
    ):
        registry.define(line)
    return registry
