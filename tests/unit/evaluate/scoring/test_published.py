"""Numbers of published tables, to their last printed digit, from systems that the data themselves determine."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from suture.evaluate.scoring.score import score_file
from suture.evaluate.scoring.texts import _divided, _rouge

Rows = list[dict[str, str]]


@pytest.fixture(scope="module")
def test_1(shared_data: Path) -> Rows:
    path = shared_data / "aci_bench" / "challenge_data" / "clinicalnlp_taskB_test1.csv"
    if not path.is_file():
        pytest.skip(f"ACI-BENCH is not here: looked for {path}")
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def speaker_turns(dialogue: str) -> list[str]:
    return dialogue.replace("[patient_guest]", "[patient]").replace("[patient]", "[doctor]").split("[doctor]")


def doctor_turns(dialogue: str) -> list[str]:
    parts = dialogue.replace("[patient_guest]", "[patient]").split("[doctor]")
    return [part.split("[patient]")[0] for part in parts if part]


def longest(turns: list[str]) -> str:
    return max(turns, key=lambda turn: len(turn.split()))


def twelve(turns: list[str]) -> list[str]:
    return turns[:2] + turns[-10:] if len(turns) > 12 else turns


def twelve_speaker_turns(dialogue: str) -> str:
    return "[".join(twelve([turn for turn in dialogue.replace("[patient_guest]", "[patient]").split("[") if turn]))


# Yim et al. 2023, Scientific Data 10:586, table 6 (full note, test set 1): ROUGE-1, -2, -L of the transcript baselines,
# whose making is in baseline_transcript_retrieval.ipynb of the authors' repository. The fifth, the whole transcript
# (32.84, 12.53, 30.61), agrees too and takes longer than all others together.
PUBLISHED: dict[str, tuple[Callable[[str], str], tuple[float, float, float]]] = {
    "longest speaker turn": (lambda dialogue: longest(speaker_turns(dialogue)), (27.84, 9.32, 23.44)),
    "longest doctor turn": (lambda dialogue: longest(doctor_turns(dialogue)), (27.47, 9.23, 23.20)),
    "12 speaker turns": (twelve_speaker_turns, (33.16, 10.60, 30.01)),
    "12 doctor turns": (lambda dialogue: "\n".join(twelve(doctor_turns(dialogue))), (35.88, 12.44, 32.72)),
}


@pytest.mark.parametrize("system", PUBLISHED)
def test_aci_bench_table_6(test_1: Rows, system: str) -> None:
    make, published = PUBLISHED[system]
    found = _rouge([make(row["dialogue"]) for row in test_1], [row["note"] for row in test_1])
    means = [round(sum(found[name][0]) / len(test_1), 2) for name in ("rouge1", "rouge2", "rougeLsum")]
    assert tuple(means) == published


def test_aci_bench_table_9_counts_a_division_that_both_lack(test_1: Rows) -> None:
    """A system without this division scores 0.00 there where no output has it, 2.5 an item where both lack it."""
    notes = [row["note"] for row in test_1]
    nothing = ["No heading in this one." for _ in notes]
    _, cut, about = _divided(notes, nothing, "objective_results")
    assert set(cut) == {""}
    assert about["in_neither"] == 8
    references, cut, _ = _divided(notes, [*nothing[:-1], "RESULTS\nnormal"], "objective_results")
    assert sum(a == b for a, b in zip(references, cut, strict=True)) == 8


def test_references_score_full_against_themselves(tmp_path: Path, test_1: Rows) -> None:
    rows = [(row["encounter_id"], row["note"]) for row in test_1[:2]]
    given, wanted = tmp_path / "p.jsonl", tmp_path / "r.jsonl"
    given.write_text("\n".join(json.dumps({"id": key, "prediction": text}) for key, text in rows))
    wanted.write_text("\n".join(json.dumps({"id": key, "reference": text}) for key, text in rows))
    for task in ("aci_bench", "aci_bench_assessment_and_plan"):
        scores = score_file(task, given, wanted).scores
        assert {scores[name].value for name in ("rouge1", "rouge2", "rougeL", "rougeLsum")} == {100.0}
        assert scores["bleu"].value == pytest.approx(100.0)
