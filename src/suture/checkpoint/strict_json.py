"""Reads JSON as the strictest of its readers would: UTF-8, unique keys, no lone surrogate; never slower than linear.

Where two readers of one file can disagree (a repeated key, another encoding), a file can be one thing for the check
and another for the library that opens it afterwards. So such a file is refused.
"""

from __future__ import annotations

import json
from typing import Any, NoReturn


class StrictJsonError(ValueError):
    """The text is not one JSON object of the strict kind; the message says why, in a few words."""


def parse_object(raw: bytes, *, constants: bool = False) -> dict[str, Any]:
    """Return the JSON object in `raw`. Raises StrictJsonError, whatever `raw` holds.

    constants: accept NaN and Infinity, which are no JSON but stand in real config files.
    """
    try:
        text = raw.decode("utf-8")
        found = json.loads(
            text,
            object_pairs_hook=_unique_keys,
            parse_int=_whole,
            parse_constant=float if constants else _no_constant,
        )
        if "\\ud" in text or "\\uD" in text:  # a lone surrogate cannot be printed, nor written again
            json.dumps(found, ensure_ascii=False).encode("utf-8")
    except StrictJsonError:
        raise
    except UnicodeError:
        raise StrictJsonError("text that is not UTF-8") from None
    except RecursionError:
        raise StrictJsonError("JSON nested too deep") from None
    except ValueError:
        raise StrictJsonError("unreadable JSON") from None
    if not isinstance(found, dict):
        raise StrictJsonError(f"a JSON {_KINDS.get(type(found), 'value')}")
    return found


_KINDS: dict[type, str] = {list: "list", str: "string", int: "number", float: "number", bool: "boolean"}


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise StrictJsonError(f"a repeated key, {shown(twice)}")
    return result


def _whole(digits: str) -> int | float:
    """-0 is a float for other readers, so it is one here."""
    return float(digits) if digits == "-0" else int(digits)


def _no_constant(name: str) -> NoReturn:
    raise StrictJsonError(f"{name}, which is no JSON")


def shown(name: str) -> str:
    """Return the first characters of a name from a file, quoted; nothing in it can move a terminal's cursor."""
    return ascii(name) if len(name) <= 60 else f"{name[:60]!a}..."
