import json
import re
from collections import Counter

from suture.data.clinic import BANNER, generate, summaries
from suture.data.clinic.encounter import laterality

CLINIC = generate(5, 240, 80)
RECORDS = summaries((*CLINIC.train, *CLINIC.test))
OTHER = {"left": "right", "right": "left"}


def test_the_target_states_exactly_the_facts():
    for record in RECORDS:
        target, stated = record.target.lower(), record.facts
        assert stated["diagnosis"].lower() in target
        for drug in stated["drugs"]:
            assert f"{drug['drug']} {drug['dose']} {drug['unit']} {drug['frequency']}".lower() in target
        for finding in stated["present"]:
            assert re.search(rf"(?<!no ){re.escape(finding.lower())}", target), finding
        for finding in stated["negated"]:
            assert re.search(rf"\bno [^.]*\b{re.escape(finding.lower())}\b", target), finding
        for place in stated["laterality"]:
            assert f"{place['side']} {place['site']}".lower() in target
            assert f"{OTHER[place['side']]} {place['site']}".lower() not in target
        assert ("follow up in" in target) == bool(stated["follow_up"])
        assert not stated["follow_up"] or target.endswith(f"follow up in {stated['follow_up']}.")
        assert target.count(" mg ") + target.count(" mcg ") + target.count(" g ") <= len(stated["drugs"])


def test_the_source_grounds_the_facts():
    for record in RECORDS:
        source, stated = record.input.lower(), record.facts
        for drug in stated["drugs"]:
            assert f"{drug['drug']} {drug['dose']} {drug['unit']} {drug['frequency']}".lower() in source
        assert stated["follow_up"] in source
        for finding in stated["negated"]:
            assert re.search(rf"\b(no|any) [^.]*\b{re.escape(finding.lower())}\b", source), finding
        assert record.input.startswith(BANNER + "\n")
        json.dumps(stated)


def test_the_three_kinds_are_mixed_one_an_encounter():
    counts = Counter(record.section for record in summaries(CLINIC.test))
    assert set(counts) == {"dialogue to note", "findings to impression", "stay to hospital course"}
    assert min(counts.values()) >= 15
    assert len({record.encounter for record in RECORDS}) == len({record.id for record in RECORDS}) == 320


def test_lengths_stay_within_the_generation_budget():
    assert max(len(record.target.split()) for record in RECORDS) <= 48
    assert max(len(record.input.split()) for record in RECORDS) <= 130


def test_no_test_record_repeats_a_training_target():
    train = {record.target for record in summaries(CLINIC.train)}
    assert not train & {record.target for record in summaries(CLINIC.test)}


def test_sources_carry_distractors():
    dialogues = [record for record in RECORDS if record.section == "dialogue to note"]
    encounters = {encounter.id: encounter for encounter in (*CLINIC.train, *CLINIC.test)}
    home = [(record, drug) for record in dialogues if (drug := encounters[record.encounter].home)]
    assert len(home) > len(dialogues) / 2
    assert all(str(drug).lower() in record.input.lower() for record, drug in home)
    assert not any(drug.drug.lower() in record.target.lower() for record, drug in home)
    opposite = [r for r in dialogues if any(f"the {OTHER[p['side']]} side?" in r.input for p in r.facts["laterality"])]
    assert opposite


def test_a_side_is_stated_for_the_longest_site_and_not_twice():
    ear = next(encounter for encounter in CLINIC.train if encounter.sites == ("ear", "ear canal"))
    assert laterality(ear, f"Swollen {ear.side} ear canal.") == [{"site": "ear canal", "side": ear.side}]
    both = laterality(ear, f"{ear.side} ear pain. Swollen {ear.side} ear canal.")
    assert [place["site"] for place in both] == ["ear canal", "ear"]
