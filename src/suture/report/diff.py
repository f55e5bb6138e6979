"""Word differences between two answers: which words of one are not in the other, in order."""

from __future__ import annotations

import re
from difflib import SequenceMatcher

_WORDS = re.compile(r"\s*\S+|\s+$")


def word_diff(base: str, text: str) -> list[tuple[bool, str]]:
    """Cut `text` into runs of (is new, words): joined they give `text`; new runs are those that `base` lacks.

    Words are compared without the spaces before them, by difflib's longest matching blocks.
    """
    words = _WORDS.findall(text)
    old = [word.strip() for word in _WORDS.findall(base)]
    matcher = SequenceMatcher(None, old, [word.strip() for word in words], autojunk=False)
    runs = []
    for kind, _, _, start, stop in matcher.get_opcodes():
        if stop > start:
            runs.append((kind != "equal", "".join(words[start:stop])))
    return runs
