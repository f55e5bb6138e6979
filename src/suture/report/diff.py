"""Word differences between two answers: which words of one are not in the other, in order."""

from __future__ import annotations

import re
from difflib import SequenceMatcher

_WORDS = re.compile(r"\s*\S+|\s+$")


def word_diff(base: str, text: str) -> list[tuple[bool, str]]:
    """Cut `text` into runs of (is new, words): joined they give `text`; new runs are those that `base` lacks.

    Words are compared without case, the spaces before them and the punctuation after them, by difflib's longest
    matching blocks. The space before a new run belongs to no new run.
    """
    words = _WORDS.findall(text)
    matcher = SequenceMatcher(
        None, [_bare(word) for word in _WORDS.findall(base)], [_bare(word) for word in words], autojunk=False
    )
    runs: list[tuple[bool, str]] = []
    for kind, _, _, start, stop in matcher.get_opcodes():
        run = "".join(words[start:stop])
        space = run[: len(run) - len(run.lstrip())] if kind != "equal" else ""
        runs += [(False, space), (kind != "equal", run.removeprefix(space))]
    return [(new, run) for new, run in runs if run]


def _bare(word: str) -> str:
    return word.strip().rstrip(".,;:!?").lower()
