from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from suture.errors import BadInputError, IncompatibleError
from suture.plan import make_plan
from suture.recipe import parse_recipe
from suture.testing.tiny import tiny_model


def linear(*models: Path, extra: str = "") -> str:
    lines = "".join(f"  - {{model: {m}, parameters: {{weight: 1}}}}\n" for m in models)
    return f"merge_method: linear\nmodels:\n{lines}{extra}"


def test_the_donor_is_the_one_with_a_chat_template(tiny_pair: tuple[Path, Path]) -> None:
    general, clinical = tiny_pair
    plan = make_plan(parse_recipe(linear(clinical, general)))
    assert plan.donor == str(general)
    assert plan.bytes_written * 2 == pytest.approx(plan.bytes_read, rel=0.1)


def test_a_role_decides_the_donor(tiny_pair: tuple[Path, Path]) -> None:
    general, clinical = tiny_pair
    plan = make_plan(parse_recipe(linear(general, clinical, extra=f"general: {clinical}\n")))
    assert plan.donor == str(clinical)
    assert plan.roles is not None
    assert (plan.roles.general, plan.roles.clinical) == (1, 0)
    assert any("chat template" in note for note in plan.notes)


def test_no_donor_names_the_choices(tiny_pair: tuple[Path, Path], tmp_path: Path) -> None:
    other = tiny_model(tmp_path / "other", seed=3)
    with pytest.raises(IncompatibleError, match=r"2 of 2 models with a chat template.*general:"):
        make_plan(parse_recipe(linear(tiny_pair[0], other)))


def test_all_misfits_at_once(tiny_pair: tuple[Path, Path], tmp_path: Path) -> None:
    wide = tiny_model(tmp_path / "wide", seed=3, hidden=64, layers=3)
    config = json.loads((wide / "config.json").read_text())
    (wide / "config.json").write_text(json.dumps({**config, "model_type": "mistral"}))
    with pytest.raises(IncompatibleError) as caught:
        make_plan(parse_recipe(linear(tiny_pair[0], wide, extra=f"general: {tiny_pair[0]}\n")))
    text = str(caught.value)
    assert "one architecture" in text
    assert "9 missing" in text
    assert "Shapes must be those of" in text


def test_a_different_vocabulary_is_seen_by_content(tiny_pair: tuple[Path, Path], tmp_path: Path) -> None:
    other = shutil.copytree(tiny_pair[1], tmp_path / "other")
    raw = json.loads((other / "tokenizer.json").read_text())
    first, second = list(raw["model"]["vocab"])[300:302]
    vocab = raw["model"]["vocab"]
    vocab[first], vocab[second] = vocab[second], vocab[first]
    (other / "tokenizer.json").write_text(json.dumps(raw))
    with pytest.raises(IncompatibleError, match="one vocabulary"):
        make_plan(parse_recipe(linear(tiny_pair[0], other)))


def test_every_missing_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadInputError) as caught:
        make_plan(parse_recipe(linear(tmp_path / "one", tmp_path / "two")))
    assert len(caught.value.problems) == 2


def test_the_digest_follows_the_work(tiny_pair: tuple[Path, Path]) -> None:
    same = [make_plan(parse_recipe(linear(*tiny_pair))).digest for _ in range(2)]
    assert same[0] == same[1]
    assert make_plan(parse_recipe(linear(*tiny_pair, extra="seed: 1\n"))).digest != same[0]
