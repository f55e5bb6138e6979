from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from suture.card import with_evaluation
from suture.checkpoint.digest import weights_digest
from suture.merge import execute
from suture.plan import make_plan
from suture.recipe import parse_recipe
from suture.testing.command import run_command
from suture.testing.tiny import tiny_model


def _merged(folder: Path, name: str = "ward-note-linear", **parents: str) -> Path:
    cards = {"general": "", "clinical": ""} | parents
    for seed, (role, card) in enumerate(cards.items()):
        if not (folder / role).exists():
            tiny_model(folder / role, seed=seed)
        if card:
            (folder / role / "README.md").write_text(card)
    text = {
        "merge_method": "linear",
        "general": str(folder / "general"),
        "models": [{"model": str(folder / role), "parameters": {"weight": 0.5}} for role in cards],
    }
    execute(make_plan(parse_recipe(json.dumps(text), "recipe")), folder / name)
    return folder / name


def _front(card: str) -> dict[str, object]:
    found: dict[str, object] = yaml.safe_load(card.split("---")[1])
    return found


def test_the_card_names_models_recipe_use_and_licences_but_no_folder(tmp_path: Path) -> None:
    card = (_merged(tmp_path, general="---\nlicense: apache-2.0\n---\n# Theirs\n") / "README.md").read_text()
    assert str(tmp_path) not in card
    assert "Theirs" not in card
    front = _front(card)
    assert front["library_name"] == "transformers"
    assert front["tags"] == ["merge", "suture", "linear"]
    assert (front["license"], front["license_name"]) == ("other", "of-its-parents")
    for said in ("# ward-note-linear", "merge_method: linear", "model: clinical", "not a medical device",
                 "- general: apache-2.0", "- clinical: not said", "from_pretrained", "Not measured yet"):  # fmt: skip
        assert said in card, said
    assert "Llama" not in card


def test_one_licence_of_all_parents_is_the_cards(tmp_path: Path) -> None:
    both = dict.fromkeys(("general", "clinical"), "---\nlicense: mit\n---\n")
    assert _front((_merged(tmp_path, **both) / "README.md").read_text())["license"] == "mit"


def test_the_naming_and_notice_rules_of_llama_are_said(tmp_path: Path) -> None:
    card = (_merged(tmp_path, general="---\nlicense: llama3.1\n---\n") / "README.md").read_text()
    assert '"Built with Llama"' in card
    assert 'must begin with "Llama"' in card


def test_the_same_merge_writes_the_same_card_and_weights(tmp_path: Path) -> None:
    first = _merged(tmp_path, general="---\nlicense: [broken\n---\n")
    text, digest = (first / "README.md").read_bytes(), weights_digest(first)
    first.rename(tmp_path / "before")
    again = _merged(tmp_path)
    assert (again / "README.md").read_bytes() == text
    assert weights_digest(again) == digest


def test_an_evaluation_takes_its_place_and_can_be_written_again(tmp_path: Path) -> None:
    card = (_merged(tmp_path) / "README.md").read_text()
    once = with_evaluation(card, "| a |")
    assert "Not measured yet" not in once
    assert with_evaluation(once, "| b |") == with_evaluation(card, "| b |")
    with pytest.raises(ValueError, match="no place"):
        with_evaluation("# Mine", "| a |")


def _comparison(folder: Path, digest: str) -> Path:
    interval = {"low": 0.4, "high": 0.8, "level": 0.95, "method": "Wilson"}
    score = {"task": "clinic_mcq", "metric": "accuracy", "n": 48, "clusters": 24, "value": 0.6, "interval": interval}
    contrast = {
        "model": "linear 0.5", "against": "general", "task": "clinic_mcq", "metric": "accuracy", "n": 48,
        "clusters": 24, "difference": 0.1, "interval": {**interval, "low": -0.05, "high": 0.25}, "retention": 1.2,
        "forgotten": 0.0, "gained": 0.1, "forgotten_items": [], "gained_items": ["q1"], "margin": 0.1, "mde": 0.2,
        "verdict": "kept",
    }  # fmt: skip
    path = folder / "comparison.json"
    path.write_text(json.dumps({
        "models": ["general", "linear 0.5"], "against": ["general"], "digests": {"linear 0.5": digest}, "axes": [],
        "scores": [score | {"model": name} for name in ("general", "linear 0.5")], "contrasts": [contrast],
        "margins": [], "notes": [],
    }))  # fmt: skip
    return path


def test_the_command_writes_scores_and_verdicts_of_these_weights_only(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    out = _merged(tmp_path)
    right = _comparison(tmp_path, weights_digest(out))
    assert run_command("card", out, "--comparison", right, "--label", "linear 0.5") == 0
    card = (out / "README.md").read_text()
    assert "kept" in card
    assert "| 48 |" in card
    assert "q1" not in card
    assert run_command("verify", out) == 0
    assert run_command("card", out, "--comparison", right, "--label", "linear 0.6") != 0
    assert "linear 0.5" in capfd.readouterr().err
    assert run_command("card", out, "--comparison", _comparison(tmp_path, "0" * 64), "--label", "linear 0.5") != 0
    assert "these weights" in capfd.readouterr().err
