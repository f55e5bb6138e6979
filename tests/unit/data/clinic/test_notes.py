import re

from suture.data.clinic import BANNER, facts, generate, notes, references
from suture.data.clinic.notes import note

CLINIC = generate(3, 160, 40)


def test_a_note_states_every_fact():
    for encounter in CLINIC.train:
        text = note(encounter).lower()
        stated = facts(encounter)
        for drug in stated["drugs"]:
            assert f"{drug['drug']} {drug['dose']} {drug['unit']} {drug['frequency']}".lower() in text
        for finding in stated["present"]:
            assert finding.lower() in text
        for finding in stated["negated"]:
            assert re.search(rf"\b(no|denies)\b[^.]*\b{re.escape(finding.lower())}\b", text), finding
        assert f"in {stated['follow_up']}." in text
        assert encounter.diagnosis.lower() in text
        other = {"left": "right", "right": "left"}.get(encounter.side, "neither side")
        assert not re.search(rf"{other}", text.replace("right heart", ""))


def test_notes_say_that_they_are_synthetic_and_name_nobody():
    for text in notes(CLINIC.train):
        assert text.splitlines()[0] == BANNER
        assert not re.search(r"\b(mr|mrs|ms|dr)\b", text.lower())


def test_wording_varies():
    texts = notes(CLINIC.train)
    assert len(set(texts)) == 160
    headers = {line.split(":")[0] for text in texts for line in text.splitlines()[1:] if re.match(r"[A-Z/ ]+:", line)}
    assert {"HPI", "SUBJECTIVE", "EXAM", "OBJECTIVE", "A/P", "MEDICATIONS", "IMAGING"} <= headers


def test_a_note_is_short():
    lengths = [len(text.split()) for text in notes(CLINIC.train)]
    assert min(lengths) > 70
    assert max(lengths) < 150


def test_references_hold_the_notes_as_targets():
    records = references(CLINIC.test)
    assert [record.target for record in records] == notes(CLINIC.test)
    assert {record.input for record in records} == {""}
    assert {record.split for record in records} == {"test"}
    assert [record.encounter for record in records] == [encounter.id for encounter in CLINIC.test]
    assert len({record.id for record in records}) == 40
