"""Facts without a structured record: numbers, doses, sides and negations, of answer, input and reference.

fact_fabrication counts the answer's claims that the input does not support; fact_omission is the share of the
reference's claims that the answer leaves out (NaN where the reference makes none). Four kinds are looked at:

    number     a number, with its unit where it has one: 58, 2 weeks, 45 %, 5.1 cm
    dose       a quantity of mass, volume, units or tablets: 500 mg (equal to 0.5 g)
    side       left, right or bilateral, with the word that it belongs to: left knee
    negation   a finding that is denied: no fever, denies chest pain

A number is supported by the same quantity, or by the same bare number where either text states no unit. A side is
supported by the same side within four words of the same word. A negation is supported where the other text denies the
same finding, or asks for it and is answered with no. These rules read surface forms only: a paraphrase may count as
fabricated, so compare models on the same items rather than read the count as a rate of errors. Negations by NegEx-like
scope (Chapman et al. 2001). Source of the idea: fact-level omission and fabrication counts as in Asgari et al. 2025,
npj Digital Medicine 8:274; the rules are our own.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from functools import lru_cache

from suture.evaluate.metrics import quantities

NAMES = ("fact_omission", "fact_fabrication")
KINDS = ("number", "dose", "side", "negation")
Claim = tuple[str, ...]

_SENTENCE = re.compile(r"[^.;?!\n]+[.;?!]?(?:(?<=\d\.)\d[^.;?!\n]*[.;?!]?)*")
_SIDE = re.compile(r"\b(left|right|bilateral(?:ly)?|both)\b((?:[ -]+[a-z]+){1,3})")
_NO_SIDE = re.compile(
    r"^[ -]+(?:now|away|here|there|the|a|an|him|her|them|it|to|for|at|on|in|with|and|or|so|i|you|okay|ok)\b"
)
_NOT_BEFORE = re.compile(r"(?:all|that's|that is|you're|is that|yeah|okay|was|were|have|has|had)\s+$")
_NEGATION = re.compile(
    r"\b(?:no(?: (?:evidence|signs?|history|complaints?) of)?|denie[sd](?: any)?|deny(?:ing)?(?: any)?|"
    r"without(?: any)?|negative for|absence of|free of|not (?:have|had|having|endorse)(?: any)?|"
    r"did not (?:have|report)(?: any)?|"
    r"has not had(?: any)?|never had(?: any)?|nil)\b\s*"
)
_SCOPE_ENDS = re.compile(
    r"\b(?:but|however|although|except|reports?|notes?|presents?|has|is|are|was|were|which|who|that|since|because|when|"
    r"for|at|in|on|with|today|further|currently|there|he|she|they|patient|we|i|you)\b|[:()]"
)
_ITEM = re.compile(r",|/|\bor\b|\band\b|\bnor\b")
_STOP = frozenset(
    [
        "a",
        "an",
        "any",
        "the",
        "of",
        "to",
        "some",
        "other",
        "acute",
        "significant",
        "obvious",
        "new",
        "known",
        "recent",
        "current",
        "further",
        "more",
        "evidence",
        "signs",
        "sign",
        "history",
        "complaints",
        "longer",
        "change",
        "changes",
        "problem",
        "problems",
        "issue",
        "issues",
        "one",
        "thing",
        "things",
        "need",
        "way",
        "well",
        "time",
    ]
)
_ANSWERED_NO = re.compile(
    r"^\W*(?:\[?\w+\]?:?\s*)?\W*(?:uh|um|oh|well|and|,|\s)*\b(?:no|nope|nah|not|never|none|negative|nil)\b"
)


@dataclass(frozen=True, slots=True)
class Judged:
    """The claims of an answer: those that the input does not support, and those of the reference that it leaves out."""

    fabricated: tuple[Claim, ...]
    omitted: tuple[Claim, ...]
    wanted: int

    def counts(self) -> dict[str, tuple[int, int]]:
        """Return kind -> (fabricated, omitted)."""
        made, left = Counter(claim[0] for claim in self.fabricated), Counter(claim[0] for claim in self.omitted)
        return {kind: (made[kind], left[kind]) for kind in KINDS}


def signature() -> str:
    """Return the rules' name and version, and the libraries that read numbers."""
    return f"suture claims 1: numbers, doses, sides, negations against the input; {quantities.signature()}"


def scores(response: str, source: str, reference: str) -> dict[str, float]:
    """Return fact_omission, a share in [0, 1] or NaN, and fact_fabrication, a count."""
    found = judge(response, source, reference)
    omission = len(found.omitted) / found.wanted if found.wanted else float("nan")
    return {"fact_omission": omission, "fact_fabrication": float(len(found.fabricated))}


def judge(response: str, source: str, reference: str) -> Judged:
    """Return which claims of `response` the text `source` does not support, and which of `reference` it leaves out."""
    made = sorted(claim for claim in claims(response) if not supports(source, claim))
    wanted = claims(reference)
    omitted = sorted(claim for claim in wanted if not supports(response, claim))
    return Judged(tuple(made), tuple(omitted), len(wanted))


@lru_cache(maxsize=1024)
def claims(text: str) -> frozenset[Claim]:
    """Return what `text` claims.

    ("number" | "dose", value in base units, dimension, number as written), ("side", side, word), ("negation", *words).
    """
    found: set[Claim] = set()
    for quantity in quantities.quantities(text):
        kind = "dose" if quantity.is_dose else "number"
        found.add((kind, quantity.value, quantity.dimension, quantity.written))
    for sentence in _sentences(text):
        found |= _sides(sentence)
        if not sentence.rstrip().endswith("?"):
            found |= {("negation", *item) for item in _denied(sentence)}
    return frozenset(found)


def supports(text: str, claim: Claim) -> bool:
    """Say whether `text` holds what `claim` says; it always holds what it claims itself."""
    if claim in claims(text):
        return True
    if claim[0] in ("number", "dose"):
        _, value, dimension, written = claim
        return any(
            (value, dimension) == (other.value, other.dimension)
            or (written == other.written and not (dimension and other.dimension))
            for other in _known(text)
        )
    if claim[0] == "side":
        return _near(text, claim[1], claim[2])
    own = {item for item in claims(text) if item[0] == "negation"}
    head = claim[-1]
    return any(head in item[1:] for item in own) or _denied_in_dialogue(text, head)


@lru_cache(maxsize=1024)
def _known(text: str) -> tuple[quantities.Quantity, ...]:
    return tuple(dict.fromkeys(quantities.quantities(text)))


def _sides(sentence: str) -> set[Claim]:
    found: set[Claim] = set()
    for match in _SIDE.finditer(sentence):
        if _NO_SIDE.match(match[2]) or _NOT_BEFORE.search(sentence[: match.start()]):
            continue
        words = [_stem(word) for word in re.split(r"[ -]+", match[2].strip()) if word not in _STOP]
        if words:
            found.add(("side", _side(match[1]), words[0]))
    return found


def _near(text: str, side: str, word: str) -> bool:
    return word in _words_near_sides(text).get(side, frozenset())


@lru_cache(maxsize=1024)
def _words_near_sides(text: str) -> dict[str, frozenset[str]]:
    words = re.findall(r"[a-z]+", text.lower())
    near: dict[str, set[str]] = {}
    for place, word in enumerate(words):
        if word in ("left", "right", "bilateral", "bilaterally", "both"):
            around = words[max(place - 4, 0) : place + 5]
            near.setdefault(_side(word), set()).update(map(_stem, around))
    return {side: frozenset(found) for side, found in near.items()}


def _denied(sentence: str) -> set[Claim]:
    """Return the findings that a sentence denies, each as its stems, the head last."""
    found: set[Claim] = set()
    for match in _NEGATION.finditer(sentence):
        scope = sentence[match.end() :]
        end = _SCOPE_ENDS.search(scope)
        scope = scope[: end.start()] if end else scope
        for item in _ITEM.split(scope)[:12]:
            words = [_stem(word) for word in re.findall(r"[a-z]{3,}", item) if word not in _STOP]
            if words and len(words) <= 4:
                found.add(tuple(words))
    return found


def _denied_in_dialogue(text: str, head: str) -> bool:
    """Say whether `text` asks for a finding and the answer is no, or denies it in the same sentence."""
    lines = _sentences(text)
    for place, line in enumerate(lines):
        if head in map(_stem, re.findall(r"[a-z]{3,}", line)):
            if re.search(r"\b(?:no|not|n't|never|none|without|den(?:y|ies|ied))\b|n't\b", line):
                return True
            if any(_ANSWERED_NO.match(answer) for answer in lines[place + 1 : place + 4]):
                return True
    return False


@lru_cache(maxsize=1024)
def _sentences(text: str) -> tuple[str, ...]:
    lowered = text.lower().replace("’", "'")
    return tuple(part.strip() for part in _SENTENCE.findall(lowered) if part.strip())


def _side(word: str) -> str:
    return "bilateral" if word in ("both", "bilateral", "bilaterally") else word


def _stem(word: str) -> str:
    """Return a word without the ends that make it plural or an adjective; crude, the same for all texts."""
    for end in ("nesses", "ness", "ies", "ing", "es", "al", "ic", "ed", "s", "y"):
        if word.endswith(end) and len(word) - len(end) >= 4:
            return word.removesuffix(end)
    return word
