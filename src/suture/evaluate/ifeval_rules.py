"""IFEval's 25 verifiers under the rules of its published evaluation (google-research), out of lm-evaluation-harness.

Read against google-research at revision 3f357bde (2025): the harness's copy of the verifiers differs in one of the 25,
letter_frequency. There the published code counts any single character; its revisions until 2025, and the harness still,
replace what is not a letter by a drawn one (the '#' of prompt 1122, the '!' of 1129). Here the character is counted,
and what the drawn letters would give is the range beside the score.
"""

from __future__ import annotations

import string
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.metadata import version
from typing import Any

from suture.evaluate.packaged import punkt, stay_offline
from suture.evaluate.verdicts import Check, Verifiers, published_check

LETTERS = "keywords:letter_frequency"


def signature() -> str:
    """Return libraries, versions and rules."""
    return (
        f"google-research instruction_following_eval 3f357bde by lm_eval {version('lm_eval')} verifiers, "
        f"nltk {version('nltk')} punkt_tab, langdetect {version('langdetect')} seed 0, kwargs kept"
    )


@cache
def verifiers() -> Verifiers:
    """Load the verifiers; needs the extra `suture[eval]`."""
    stay_offline()
    punkt()
    from lm_eval.tasks.ifeval.instructions_registry import INSTRUCTION_DICT

    return Verifiers(INSTRUCTION_DICT, _make, _others)


def _make(identifier: str, given: Mapping[str, Any], prompt: str) -> Check:
    check = published_check(verifiers().classes, identifier, given, prompt)
    character = _odd_character(identifier, given)
    return _count(character, given) if character else check


def _others(identifier: str, given: Mapping[str, Any]) -> Sequence[Check]:
    """Return a check for each letter that older revisions may draw instead of the character."""
    if not _odd_character(identifier, given):
        return ()
    return [_count(letter, given) for letter in string.ascii_lowercase]


def _odd_character(identifier: str, given: Mapping[str, Any]) -> str:
    """Return the one character to be counted where it is none of a to z; else nothing."""
    letter = given.get("letter") if identifier == LETTERS else None
    wanted = letter.strip().lower() if isinstance(letter, str) and len(letter) == 1 else ""
    complete = isinstance(given.get("let_frequency"), int) and given.get("let_relation") is not None
    return wanted if complete and wanted not in string.ascii_lowercase else ""


def _count(character: str, given: Mapping[str, Any]) -> Check:
    wanted = int(given["let_frequency"])
    if given["let_relation"] == "less than":
        return lambda text: text.lower().count(character) < wanted
    return lambda text: text.lower().count(character) >= wanted
