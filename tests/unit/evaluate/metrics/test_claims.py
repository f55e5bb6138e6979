"""Facts of an answer against the input and of the reference against the answer; on hand-made texts and on real ones."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from suture.data.prepare import load
from suture.data.records import Record
from suture.evaluate.metrics.claims import claims, judge, scores, supports

DIALOGUE = """[doctor] any fever ?
[patient] no .
[patient] my left knee hurts , and i take two tablets
[doctor] increase lasix to eighty milligrams for ten days . i see no swelling ."""


@pytest.mark.parametrize(
    ("answer", "kinds"),
    [
        ("Left knee pain, no fever. Lasix 80 mg for 10 days, two tablets. No swelling.", []),
        ("Lasix 0.08 g.", []),
        ("Lasix 40 mg.", ["dose"]),
        ("Lasix 80 mcg.", ["dose"]),
        ("Right knee pain.", ["side"]),
        ("No chills.", ["negation"]),
        ("Denies fever, chills, or weight loss.", ["negation", "negation"]),
        ("For 12 days.", ["number"]),
        ("Follow up in 3 weeks; both knees; 81 mg; no rash.", ["dose", "negation", "number", "side"]),
    ],
)
def test_what_the_input_does_not_support_is_counted(answer: str, kinds: list[str]) -> None:
    assert sorted(claim[0] for claim in judge(answer, DIALOGUE, "").fabricated) == kinds
    assert scores(answer, DIALOGUE, "")["fact_fabrication"] == len(kinds)


def test_what_the_reference_says_and_the_answer_leaves_out() -> None:
    reference = "Left knee pain. No fever. Lasix 80 mg for 10 days."
    assert scores(reference, DIALOGUE, reference)["fact_omission"] == 0.0
    assert scores("", DIALOGUE, reference)["fact_omission"] == 1.0
    found = judge("Knee pain. Lasix 80 mg.", DIALOGUE, reference)
    assert [claim[0] for claim in found.omitted] == ["negation", "number", "side"]
    assert scores("Knee pain. Lasix 80 mg.", DIALOGUE, reference)["fact_omission"] == 3 / 4
    assert found.counts()["side"] == (0, 1)
    assert math.isnan(scores("x", DIALOGUE, "The patient is well.")["fact_omission"])


def test_a_denial_that_contradicts_the_input_is_made_up() -> None:
    assert judge("No fever.", "[doctor] any fever ?\n[patient] yes , for days", "").fabricated
    assert not judge("No fever.", "He has had no fever.", "").fabricated


def test_left_and_right_that_are_no_sides() -> None:
    text = "She left the hospital. That's right, all right. Right now he is fine. Is that right?"
    assert not [claim for claim in claims(text) if claim[0] == "side"]


def test_questions_deny_nothing() -> None:
    assert not [claim for claim in claims("No fever?") if claim[0] == "negation"]


@given(st.text(alphabet="abc noleftright 0123456789mg.,?\n", max_size=120))
def test_a_text_supports_itself(text: str) -> None:
    assert all(supports(text, claim) for claim in claims(text))
    found = judge(text, text, text)
    assert not found.fabricated
    assert not found.omitted


@pytest.mark.parametrize("name", ["aci_bench", "mts_dialog", "mtsamples_impression"])
def test_on_real_data_a_reference_is_better_grounded_than_another_s(name: str, shared_data: Path) -> None:
    """A reference holds some claims that its input does not state; the reference of another visit holds far more."""
    records = [item for item in load(name, shared_data).items if isinstance(item, Record)]
    records = [item for item in records if item.section == "full" or name != "aci_bench"][:30]
    own = other = total = 0
    for record, next_one in zip(records, records[1:] + records[:1], strict=True):
        own += len(judge(record.target, record.input, "").fabricated)
        other += len(judge(next_one.target, record.input, "").fabricated)
        total += len(claims(record.target))
    assert own < 0.45 * total
    assert other > 2 * own
