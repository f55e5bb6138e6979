"""Constraints whose satisfaction code can check: which kinds are trained, which are held out, and their verifiers."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping

Check = Callable[[str, str], bool]


def satisfies(kind: str, response: str, value: str = "") -> bool:
    """Return whether `response` satisfies the constraint `kind`; `value` is its parameter (a count, a phrase, or "").

    Raises KeyError for a kind that is neither in TRAINED nor in HELD_OUT.
    """
    check = TRAINED.get(kind) or HELD_OUT[kind]
    return bool(response.strip()) and check(response.strip(), value)


def sentences(text: str) -> list[str]:
    """Split at a full stop, question mark or exclamation mark before white space or the end."""
    return [part for part in re.split(r"(?<=[.?!])\s+", text.strip()) if part]


def _bullets(response: str, value: str) -> bool:
    lines = response.splitlines()
    return all(line.startswith("* ") for line in lines) and len(lines) == int(value)


def _json(response: str, value: str) -> bool:
    try:
        return isinstance(json.loads(response), dict)
    except json.JSONDecodeError:
        return False


def _parts(response: str, value: str) -> bool:
    parts = response.split("***")
    return len(parts) == 2 and all(part.strip() for part in parts)


def _has_word(response: str, value: str) -> bool:
    return re.search(rf"\b{re.escape(value)}\b", response, re.IGNORECASE) is not None


def _halves_agree(parts: list[str]) -> bool:
    half = len(parts) // 2
    return half > 0 and parts[:half] == parts[half:]


def _numbered(response: str, value: str) -> bool:
    lines = response.splitlines()
    return len(lines) > 1 and all(line.startswith(f"{n}. ") for n, line in enumerate(lines, start=1))


def _semicolons(response: str, value: str) -> bool:
    return len([part for part in response.split(";") if part.strip()]) >= 3


TRAINED: Mapping[str, Check] = {
    "capitals": lambda response, _: response.isupper(),
    "lower_case": lambda response, _: response.islower(),
    "no_commas": lambda response, _: "," not in response,
    "bullets": _bullets,
    "quotes": lambda response, _: len(response) > 2 and response[0] == response[-1] == '"',
    "title": lambda response, _: re.search(r"<<[^<>\n]+>>", response) is not None,
    "ending": lambda response, value: response.endswith(value),
    "keyword": _has_word,
    "without_word": lambda response, value: not _has_word(response, value),
    "sentence_count": lambda response, value: len(sentences(response)) == int(value),
    "json": _json,
    "two_parts": _parts,
    "postscript": lambda response, _: re.search(r"\nP\.S\. \S", response) is not None,
    "highlight": lambda response, value: len(re.findall(r"\*[^*\n]+\*", response)) >= int(value),
    "brackets": lambda response, _: response[0] == "[" and response[-1] == "]",
    "arrow": lambda response, _: response.startswith("-> "),
    "dashes": lambda response, _: response.endswith(" --"),
    "twice": lambda response, _: _halves_agree(sentences(response)),
    "one_thing": lambda response, _: len(sentences(response)) == 1 and len(response.split()) <= 6,
    "comma_list": lambda response, _: len([part for part in response.split(", ") if part.strip()]) == 3,
    "lettered": lambda response, _: [line[:3] for line in response.splitlines()] == ["a) ", "b) "],
    "greeting": lambda response, _: response.startswith("Hello!"),
    "teacher": lambda response, _: response.startswith("The teacher says:"),
    "repeat_request": lambda response, value: response.startswith(value) and len(response) > len(value) + 1,
}

HELD_OUT: Mapping[str, Check] = {
    "certainly": lambda response, _: response.startswith("Certainly"),
    "question": lambda response, _: response.endswith("?"),
    "exclamation": lambda response, _: response.endswith("!"),
    "parentheses": lambda response, _: response[0] == "(" and response[-1] == ")",
    "hashtag": lambda response, _: re.search(r"#\w+$", response) is not None,
    "numbered": _numbered,
    "one_word": lambda response, _: re.fullmatch(r"\w+\.?", response) is not None,
    "semicolons": _semicolons,
    "label": lambda response, _: response.startswith("Answer:"),
    "dots": lambda response, _: response.endswith("..."),
}
