"""Facts: which of a record's drugs, doses, sides, negations and follow-up an answer states, and which it makes up.

fact_recall is the share of the record's facts that the answer states: each drug, each drug's dose with unit, each side
of a site, each negated finding (as negated), the follow-up. fact_fabrication counts the answer's statements that have
no ground: a drug, dose, side or follow-up that neither the record nor the input states, a finding stated as present
that the record negates or that the input never mentions. A count, not a share: so it is defined for an answer that
states nothing. A question states nothing.

Statements are found by the vocabulary of the records (drugs, sites, findings) and by rules in the manner of NegEx
(Chapman et al. 2001): a negation reaches from its word to the end of the sentence or to a word that ends it. A dose
belongs to the last drug named before it in the sentence, else to the next one; a side to a site at most three words
away, the nearest.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

Claim = tuple[str, ...]

_SENTENCE = re.compile(r".+?(?:[.;?!](?=\s|$)|$)", re.MULTILINE)
_NEGATION = re.compile(r"\b(no|not|denie[sd]|deny(?:ing)?|without|negative for|absent|free of|never|ruled out)\b")
_NEGATION_ENDS = re.compile(r"\b(but|however|although|except|reports|notes|presents|has|shows)\b")
_SIDE = re.compile(r"\b(left|right|bilateral|both)\b")
_DOSE = re.compile(r"\b(\d+(?:\.\d+)?) ?(mg|mcg|g|ml|units?|puffs?|drops?|tablets?|%|meq|iu)(?!\w)")
_WORDS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_NUMBERS = {word: str(n) for n, word in enumerate(_WORDS, start=1)}
_NUMBERS |= {"a": "1", "an": "1", "twelve": "12"}
_SPAN = re.compile(rf"\b(\d+|{'|'.join(_NUMBERS)})[ -](day|week|month|year)s?\b")
_FOLLOW_UP = re.compile(r"\b(follow|followup|return|review|recheck|back in|appointment|see|seen|visit|reassess)")


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """What can be stated: drugs, sites and findings of all records, lower case, long before short."""

    drugs: tuple[str, ...]
    sites: tuple[str, ...]
    findings: tuple[str, ...]


def signature() -> str:
    """Return the rules' name and version."""
    return "suture facts 1: vocabulary of the records, NegEx-like scope; recall is a share, fabrication a count"


def vocabulary(facts: Iterable[Mapping[str, Any]]) -> Vocabulary:
    """Collect the vocabulary of the `facts` of many records (see `suture.data.clinic`)."""
    drugs, sites, findings = set[str](), set[str](), set[str]()
    for record in facts:
        drugs |= {drug["drug"].lower() for drug in record.get("drugs", ())}
        sites |= {place["site"].lower() for place in record.get("laterality", ())}
        findings |= {name.lower() for key in ("negated", "present") for name in record.get(key, ())}
    return Vocabulary(
        *(tuple(sorted(names, key=lambda name: (-len(name), name))) for names in (drugs, sites, findings))
    )


@dataclass(frozen=True, slots=True)
class Judged:
    """The claims of one answer against a record: those wanted and stated, wanted and missing, made up."""

    stated: frozenset[Claim]
    missing: frozenset[Claim]
    made_up: frozenset[Claim]


def scores(response: str, facts: Mapping[str, Any], source: str, words: Vocabulary) -> dict[str, float]:
    """Return fact_recall in [0, 1] (NaN where the record states no fact) and fact_fabrication (a count; NaN likewise).

    source is the input text: what it states is not made up, even where the record's `facts` do not list it.
    """
    if not _record_claims(facts):
        return {"fact_recall": float("nan"), "fact_fabrication": float("nan")}
    found = judge(response, facts, source, words)
    wanted = len(found.stated) + len(found.missing)
    recall = len(found.stated) / wanted if wanted else float("nan")
    return {"fact_recall": recall, "fact_fabrication": float(len(found.made_up))}


def judge(response: str, facts: Mapping[str, Any], source: str, words: Vocabulary) -> Judged:
    """Return which of the record's claims the response states, which it lacks, and which it makes up."""
    known = _record_claims(facts)
    stated = claims(response, words)
    wanted = {claim for claim in known if claim[0] != "present"}
    denied = {claim[1] for claim in known if claim[0] == "negated"}
    mentioned = {name for _, _, name in _mentions(source.lower(), words.findings)}
    grounded = known | claims(source, words)
    made_up = {
        claim
        for claim in stated
        if (claim[0] == "present" and (claim[1] in denied or (claim not in known and claim[1] not in mentioned)))
        or (claim[0] in ("drug", "dose", "side", "follow_up") and claim not in grounded)
    }
    return Judged(frozenset(wanted & stated), frozenset(wanted - stated), frozenset(made_up))


def claims(text: str, words: Vocabulary) -> set[Claim]:
    """Return what `text` states.

    ("drug", name), ("dose", drug, number, unit), ("side", site, side), ("negated" | "present", finding),
    ("follow_up", "2 weeks").
    """
    found: set[Claim] = set()
    for sentence in _SENTENCE.findall(text.lower()):
        if sentence.endswith("?"):
            continue
        found |= _orders(sentence, words.drugs) | _sides(sentence, words.sites) | _findings(sentence, words.findings)
        if _FOLLOW_UP.search(sentence):
            found |= {("follow_up", _span(match[1], match[2])) for match in _SPAN.finditer(sentence)}
    return found


def _record_claims(facts: Mapping[str, Any]) -> set[Claim]:
    drugs = facts.get("drugs", ())
    found: set[Claim] = {("drug", drug["drug"].lower()) for drug in drugs}
    found |= {
        ("dose", drug["drug"].lower(), str(drug["dose"]), _unit(drug["unit"])) for drug in drugs if drug.get("dose")
    }
    sides = [place for place in facts.get("laterality", ()) if place["side"]]
    found |= {("side", place["site"].lower(), place["side"].lower()) for place in sides}
    found |= {(kind, name.lower()) for kind in ("negated", "present") for name in facts.get(kind, ())}
    found |= {("follow_up", _span(match[1], match[2])) for match in _SPAN.finditer(facts.get("follow_up", "").lower())}
    return found


def _mentions(sentence: str, names: Iterable[str]) -> list[tuple[int, int, str]]:
    """Where each of `names` (long before short) stands: (start, end, name); none inside a longer one."""
    taken: list[tuple[int, int, str]] = []
    for name in names:
        for match in re.finditer(rf"(?<!\w){re.escape(name)}(?!\w)", sentence):
            if all(match.end() <= start or match.start() >= end for start, end, _ in taken):
                taken.append((match.start(), match.end(), name))
    return sorted(taken)


def _orders(sentence: str, drugs: tuple[str, ...]) -> set[Claim]:
    named = _mentions(sentence, drugs)
    found: set[Claim] = {("drug", name) for _, _, name in named}
    for match in _DOSE.finditer(sentence) if named else ():
        before = [name for start, _, name in named if start < match.start()]
        found.add(("dose", before[-1] if before else named[0][2], match[1], _unit(match[2])))
    return found


def _sides(sentence: str, sites: tuple[str, ...]) -> set[Claim]:
    found: set[Claim] = set()
    sides = [(match.start(), match.end(), match[1]) for match in _SIDE.finditer(sentence)]
    for start, end, site in _mentions(sentence, sites):
        near = []
        for side_start, side_end, side in sides:
            between = sentence[side_end:start] if side_end <= start else sentence[end:side_start]
            if len(between.split()) <= 3:
                near.append((len(between.split()), side))
        if near:
            side = min(near)[1]
            found.add(("side", site, "bilateral" if side == "both" else side))
    return found


def _findings(sentence: str, findings: tuple[str, ...]) -> set[Claim]:
    found: set[Claim] = set()
    for start, _, name in _mentions(sentence, findings):
        scope = _NEGATION_ENDS.split(sentence[:start])[-1]
        found.add(("negated" if _NEGATION.search(scope) else "present", name))
    return found


def _unit(unit: str) -> str:
    return unit.lower().removesuffix("s")


def _span(number: str, unit: str) -> str:
    return f"{_NUMBERS.get(number, number)} {unit}"
