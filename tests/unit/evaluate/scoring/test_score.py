"""Scoring files of texts end to end, by hand-computed numbers, and what is refused before anything is computed."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest

from suture.errors import BadInputError, UsageError
from suture.evaluate.metrics import plugins
from suture.evaluate.scoring.protocols import PROTOCOLS
from suture.evaluate.scoring.result import to_json, write_items
from suture.evaluate.scoring.score import score_file
from suture.evaluate.scoring.texts import TextOptions

REFERENCES = {"a": "No acute disease.\nHeart normal.", "b": "Effusion on the left."}


def files(folder: Path, predictions: dict[str, str], references: dict[str, str] = REFERENCES) -> tuple[Path, Path]:
    given, wanted = folder / "p.jsonl", folder / "r.jsonl"
    given.write_text("\n".join(json.dumps({"id": key, "prediction": text}) for key, text in predictions.items()))
    wanted.write_text("\n".join(json.dumps({"id": key, "reference": text}) for key, text in references.items()))
    return given, wanted


def test_every_task_is_declared() -> None:
    assert list(PROTOCOLS) == [
        *("ifeval", "ifbench", "mts_dialog", "aci_bench", "aci_bench_subjective", "aci_bench_objective_exam"),
        *("aci_bench_objective_results", "aci_bench_assessment_and_plan", "open_i", "mimic_bhc", "mimic_cxr", "meqsum"),
        "primock57",
    ]
    assert all(protocol.how and protocol.source and protocol.deviations for protocol in PROTOCOLS.values())


def test_scores_by_hand(tmp_path: Path) -> None:
    scored = score_file(
        "mts_dialog", *files(tmp_path, {"b": "Effusion on the right.", "a": "Heart normal.\nNo acute disease."})
    )
    values = {name: score.value for name, score in scored.scores.items()}
    assert values["rouge1"] == pytest.approx((100 + 75) / 2)
    assert values["rouge2"] == pytest.approx((100 * 3 / 4 + 100 * 2 / 3) / 2)  # "normal no" and "disease heart" differ
    assert values["rougeL"] == pytest.approx((60 + 75) / 2)
    assert values["rougeLsum"] == pytest.approx((100 + 75) / 2)  # every line is a sentence
    # a: 7 of 7 words, 5 of 6 pairs, 3 of 5, 1 of 4; b has no four words in common, which gives 0 without smoothing
    assert values["bleu"] == pytest.approx((100 * (5 / 6 * 3 / 5 * 1 / 4) ** 0.25 + 0) / 2)
    assert math.isnan(values["bertscore_f1"])
    assert "SUTURE_BERTSCORE_ENCODER" in scored.scores["bertscore_f1"].signature
    assert [item["id"] for item in scored.items] == ["a", "b"]


def test_json_has_a_signature_on_every_number_and_null_where_there_is_none(tmp_path: Path) -> None:
    found = to_json(score_file("open_i", *files(tmp_path, REFERENCES)))
    assert (found["task"], found["n"], found["missing"]) == ("open_i", 2, 0)
    assert list(found["scores"]) == ["rouge1", "rouge2", "rougeL", "rougeLsum", "bleu", "meteor", "bertscore_f1"]
    assert all(score["signature"] for score in found["scores"].values())
    assert found["scores"]["bertscore_f1"]["value"] is None
    assert found["scores"]["bleu"]["value"] == pytest.approx(100.0)
    json.dumps(found, allow_nan=False)


def test_items_are_rounded_before_the_mean_where_the_published_script_does(tmp_path: Path) -> None:
    given = files(tmp_path, {"a": "a b", "b": "a"}, {"a": "a b c d e f g", "b": "a"})
    assert score_file("primock57", *given).scores["rouge1"].value == pytest.approx((400 / 9 + 100) / 2, abs=1e-12)
    rounded = score_file("open_i", *given).scores["rouge1"]
    assert rounded.value == pytest.approx((44.44 + 100) / 2, abs=1e-12)
    assert "rounded to 2 decimals" in rounded.signature


def test_a_missing_prediction_is_scored_as_an_empty_answer_and_told(tmp_path: Path) -> None:
    scored = score_file("primock57", *files(tmp_path, {"b": REFERENCES["b"], "z": "x"}))
    assert (scored.n, scored.missing, scored.extra) == (2, 1, 1)
    assert scored.scores["rouge1"].value == pytest.approx(50.0)
    assert [item["missing"] for item in scored.items] == [True, False]
    assert "r.jsonl, line 1" in scored.warnings[0]
    assert "p.jsonl, line 2" in scored.warnings[1]


def test_empty_references_are_refused_by_line(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match=r"r\.jsonl, line 2.*empty") as error:
        score_file("open_i", *files(tmp_path, REFERENCES, {"a": "secret", "b": " \n"}))
    assert "secret" not in str(error.value)


def test_an_unknown_task_metric_or_composite_is_refused_before_a_file_is_read(tmp_path: Path) -> None:
    missing = tmp_path / "none.jsonl"
    with pytest.raises(UsageError, match=r"Did you mean aci_bench\?"):
        score_file("aci_bensh", missing, missing)
    with pytest.raises(UsageError, match="'rogue'"):
        score_file("open_i", missing, missing, TextOptions(metrics=("rogue",)))
    with pytest.raises(UsageError, match="'plane'"):
        score_file("open_i", missing, missing, TextOptions(composites=("plane",)))


def test_composites_and_absent_metrics(tmp_path: Path) -> None:
    options = TextOptions(composites=("plain", "acibench"))
    scores = score_file("aci_bench", *files(tmp_path, REFERENCES), options).scores
    assert scores["plain"].value == pytest.approx(
        sum(scores[name].value for name in ("rouge1", "rouge2", "rougeL", "bleu", "meteor")) / 5
    )
    assert math.isnan(scores["acibench"].value)
    assert "no bertscore_f1, bleurt, medcon" in scores["acibench"].signature
    assert math.isnan(scores["medcon"].value)
    assert "UMLS" in scores["medcon"].signature


class Lengths:
    """A metric of another package: the length of the response in letters."""

    def signature(self) -> str:
        return "lengths 1"

    def scores(self, responses: Sequence[str], references: Sequence[str]) -> list[float]:
        return [float(len(response)) for response in responses]


def test_a_plugin_is_found_by_its_entry_point(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(EntryPoint, "load", lambda _: Lengths())
    entry = EntryPoint("medcon", "anything", plugins.GROUP)
    monkeypatch.setattr(plugins, "entry_points", lambda group: [entry])
    options = TextOptions(metrics=("medcon",))
    score = score_file("open_i", *files(tmp_path, {"a": "abcd", "b": "ab"}), options).scores["medcon"]
    assert (score.value, score.signature) == (3.0, "lengths 1, each item rounded to 2 decimals")


def test_a_plugin_that_gives_too_few_values_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Lengths, "scores", lambda *_: [1.0])
    monkeypatch.setattr(EntryPoint, "load", lambda _: Lengths())
    monkeypatch.setattr(plugins, "entry_points", lambda group: [EntryPoint("medcon", "anything", group)])
    with pytest.raises(UsageError, match=r"here 2.*Got 1"):
        score_file("open_i", *files(tmp_path, REFERENCES), TextOptions(metrics=("medcon",)))


def test_divisions_are_cut_from_whole_notes(tmp_path: Path) -> None:
    note = "CC:\ncough\nEXAM:\n{}\nPLAN:\nrest"
    references = {"a": note.format("lungs clear"), "b": "CC:\nfever\nPLAN:\nrest"}
    predictions = {"a": note.format("lungs dull"), "b": "CC:\nnothing\nPLAN:\nwork"}
    scored = score_file("aci_bench_objective_exam", *files(tmp_path, predictions, references))
    # words: exam lf1 lungs clear lf1; four of five agree; b: both lack it, so both are the word "empty"
    assert scored.scores["rouge1"].value == pytest.approx((80 + 100) / 2)
    assert scored.scores["rouge2"].value == pytest.approx((50 + 0) / 2)
    assert scored.about["in_neither"] == 1
    whole = score_file("aci_bench", *files(tmp_path, predictions, references))
    assert whole.scores["rouge1"].value == pytest.approx((100 * 6 / 7 + 100 * 2 / 4) / 2)


def test_a_missing_prediction_does_not_agree_on_a_division_that_is_not_there(tmp_path: Path) -> None:
    references = {"a": "CC:\ncough\nEXAM:\nclear", "b": "CC:\nfever\nPLAN:\nrest", "c": "CC:\npain\nPLAN:\nrest"}
    predictions = {"a": references["a"], "b": references["b"]}
    scored = score_file("aci_bench_objective_exam", *files(tmp_path, predictions, references))
    assert [item["rouge1"] for item in scored.items] == [100.0, 100.0, 0.0]


def test_texts_of_a_division_are_taken_as_they_are(tmp_path: Path) -> None:
    references = {"a": "EXAM:\nlungs clear", "b": "Abdomen soft."}
    scored = score_file("aci_bench_objective_exam", *files(tmp_path, references, references))
    assert scored.scores["rouge1"].value == pytest.approx(100.0)
    assert scored.about["input"] == "texts of the division, taken as they are"


def test_the_bleu_of_characters_stands_beside_that_of_words_for_mimic_bhc(tmp_path: Path) -> None:
    scores = score_file("mimic_bhc", *files(tmp_path, REFERENCES)).scores
    assert scores["bleu_characters"].value == pytest.approx(100.0)
    assert "characters" in scores["bleu_characters"].signature


def test_items_are_private_and_have_null_for_nan(tmp_path: Path) -> None:
    scored = score_file("open_i", *files(tmp_path, REFERENCES))
    path = tmp_path / "sub" / "items.jsonl"
    write_items(path, scored)
    assert path.stat().st_mode & 0o777 == 0o600
    rows: list[dict[str, Any]] = [json.loads(line) for line in path.read_text().splitlines()]
    assert [row["id"] for row in rows] == ["a", "b"]
    assert rows[0]["rougeL"] == pytest.approx(100.0)
    assert rows[0]["bertscore_f1"] is None
    assert "disease" not in path.read_text()
