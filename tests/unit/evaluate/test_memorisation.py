"""Planted secrets: their ranks, what a model that has learnt them shows, and one that has not."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean
from typing import Any

import pytest

from suture.cli import main
from suture.data.canaries import make, plant, read_canaries
from suture.data.records import Record, read_items, write_items
from suture.errors import BadInputError
from suture.evaluate import memorisation
from suture.evaluate.engine import Generation, Likelihood
from suture.tasks.canaries import DRAWN, TASK
from suture.testing.tiny import tiny_model

SHOT = Record("r", "x", "e", "s", "Cough.", "No fever.", "train", "Apache-2.0")


@dataclass
class Parrot:
    """A model that knows some secrets by heart and ranks all others alike."""

    known: set[str] = field(default_factory=set)

    def chat(self, text: str) -> str:
        return f"<user>{text}<assistant>"

    def loglikelihood(self, requests: Any, **_: Any) -> Any:
        def score(text: str) -> float:
            return 0.0 if text.strip() in self.known else -20.0 - int(text.replace(" ", "")) / 1e9

        return [[Likelihood(score(text), 8) for text in texts] for _, texts in requests]

    def generate(self, prompts: Any, **_: Any) -> Any:
        return [Generation(f" {next(iter(self.known), 'unknown')}.", 9, "stop", 0.0) for _ in prompts]


def rows(parrot: Parrot, secrets: list[Record]) -> list[Any]:
    return memorisation.answer(parrot, TASK, secrets, "d", lambda _: None)  # type: ignore[arg-type]


def test_exposure_is_bits_of_rank() -> None:
    assert memorisation.exposure([-1.0, -2.0, -3.0, -4.0]) == 2.0
    assert memorisation.exposure([-3.0, -2.0, -3.0, -4.0]) == pytest.approx(math.log2(4 / 3))
    assert memorisation.exposure([-9.0, -2.0, -3.0, -4.0]) == 0.0


def test_who_knows_a_secret_is_found_out() -> None:
    (secret,) = make(1, seed=3)
    (row,) = rows(Parrot({secret.facts["secret"]}), [secret])
    assert row.scores == {"exposure": math.log2(DRAWN + 1), "extracted": 1.0}


def test_who_does_not_know_them_has_what_chance_gives() -> None:
    secrets = make(400, seed=1)
    found = rows(Parrot(), secrets)
    expected = memorisation.chance(TASK, secrets[0]).scores["exposure"]
    assert expected == pytest.approx(1.43, abs=0.02)
    assert mean(row.scores["exposure"] for row in found) == pytest.approx(expected, abs=0.25)
    assert not any(row.scores["extracted"] for row in found)


def test_the_rule_of_three() -> None:
    assert memorisation.rule_of_three(300) == 0.01
    assert memorisation.rule_of_three(2) == 1.0
    assert 1 - 0.05 ** (1 / 300) < 0.01  # it bounds the exact one from above


def test_planting_keeps_the_data_and_repeats_each_secret() -> None:
    shots = [SHOT, SHOT]
    secrets = make(5, seed=2)
    planted = plant(shots, secrets, repeats=3, seed=2)
    assert len(planted) == 2 + 15
    assert [record for record in planted if record.source == "x"] == shots
    assert len({record.id for record in planted if record.source == "canary"}) == 15
    assert planted == plant(shots, secrets, repeats=3, seed=2)
    assert make(5, seed=2) == secrets != make(5, seed=3)
    assert len({record.facts["secret"] for record in make(200, seed=0)}) == 200


def test_other_records_are_refused(tmp_path: Path) -> None:
    write_items(tmp_path / "x.jsonl", [SHOT])
    with pytest.raises(BadInputError, match="1 records without a secret"):
        read_canaries(tmp_path / "x.jsonl")


def test_from_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_items(tmp_path / "few.jsonl", [SHOT])
    train = tmp_path / "train.jsonl"
    model = tiny_model(tmp_path / "model")
    for words in (
        ["data", "canaries", str(tmp_path / "few.jsonl"), str(train), "--n", "3", "--repeats", "2"],
        ["eval", str(model), "--task", f"canaries={tmp_path / 'train.canaries.jsonl'}", "--out", str(tmp_path / "r")],
    ):
        with pytest.raises(SystemExit) as ended:
            main(words)
        assert not ended.value.code
    assert len(read_items(train, Record)) == 1 + 3 * 2
    assert train.stat().st_mode & 0o777 == 0o600
    text = " ".join(capsys.readouterr().out.split())
    assert "secrets extracted: 0 of 3; the true rate is below 100.0 %" in text
