"""Weights by rules: hand-computed softmax, recipes that plan and merge, what is missing or too much named."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from suture.cli.app import app
from suture.data.records import Record, write_items
from suture.errors import BadInputError, IncompatibleError, NumericError, OutputExistsError, UsageError
from suture.recipe import load_recipe
from suture.testing.tiny import tiny_model
from suture.weigh import Request, cocktail, weigh, write_recipe

SECRET = "xylophone"


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("weigh")
    records = [
        Record(f"r{k}", "clinic", f"e{k}", "note", "", f"{SECRET} and cough {k}.", "train", "Apache-2.0")
        for k in range(6)
    ]
    write_items(folder / "items.jsonl", records)
    (folder / "texts.jsonl").write_text("".join(json.dumps({"text": r.target}) + "\n" for r in records))
    models = {r: str(tiny_model(folder / r, seed=s)) for s, r in enumerate(("general", "clinical", "base"))}
    models["other"] = str(tiny_model(folder / "other", hidden=64))
    return models | {"items": str(folder / "items.jsonl"), "texts": str(folder / "texts.jsonl")}


def ask(given: dict[str, str], rule: Any, **more: Any) -> Request:
    return Request(rule, given["general"], given["clinical"], **more)


def test_the_softmax_by_hand() -> None:
    assert cocktail((2.0, 2.0), 1.0) == (0.5, 0.5)
    general, clinical = cocktail((2.0, 1.0), 0.5)
    assert clinical == pytest.approx(1 / (1 + math.exp(-2)), abs=1e-12)
    assert general + clinical == pytest.approx(1.0, abs=1e-15)
    assert cocktail((1000.0, 0.0), 0.1) == (0.0, 1.0)
    with pytest.raises(NumericError):
        cocktail((math.nan, 1.0), 1.0)


def test_half(given: dict[str, str]) -> None:
    found = yaml.safe_load(weigh(ask(given, "half", dtype="bfloat16")).recipe)
    assert [entry["parameters"]["weight"] for entry in found["models"]] == [0.5, 0.5]
    assert found["dtype"] == "bfloat16"


def test_losses_are_those_of_the_task(given: dict[str, str], tmp_path: Path) -> None:
    from suture.evaluate.items import read_rows
    from suture.study.evaluation import evaluate_tasks

    found = weigh(ask(given, "lm-cocktail", task="clinic_likelihood", items=Path(given["items"]), examples=6))
    assert found.losses is not None
    for role, loss in zip(("general", "clinical"), found.losses, strict=True):
        folder = evaluate_tasks(given[role], [f"clinic_likelihood={given['items']}"], tmp_path / role)
        rows = read_rows(folder / "clinic_likelihood")
        assert loss == pytest.approx(-sum(row.scores["log_likelihood"] for row in rows) / 6)
    assert found.weights == cocktail(found.losses, 1.0)
    assert SECRET not in found.recipe


@pytest.mark.parametrize(("rule", "statistic"), [("fisher", "fisher"), ("regmean", "gram")])
def test_files_of_calibrate(rule: str, statistic: Any, given: dict[str, str], tmp_path: Path) -> None:
    from suture.calibrate import Settings, calibrate
    from suture.merge import execute
    from suture.plan import make_plan

    files = []
    for role in ("general", "clinical"):
        files.append(str(tmp_path / f"{role}.safetensors"))
        calibrate(Path(given[role]), Path(given["texts"]), Path(files[-1]), statistic, Settings())
    found = weigh(ask(given, rule, information=tuple(files)))
    write_recipe(found, tmp_path / "recipe.yaml")
    recipe = load_recipe(tmp_path / "recipe.yaml")
    assert [entry.information for entry in recipe.models or ()] == files
    assert execute(make_plan(recipe), tmp_path / "merged", sync=False).weights_digest


def test_model_stock_takes_the_ancestor(given: dict[str, str]) -> None:
    found = yaml.safe_load(weigh(ask(given, "model-stock", base=given["base"])).recipe)
    assert (found["merge_method"], found["base_model"]) == ("model_stock", given["base"])


@pytest.mark.parametrize(
    ("rule", "more", "words"),
    [
        ("lm-cocktail", {}, "takes examples"),
        ("half", {"task": "clinic_likelihood", "items": Path("x")}, "no examples"),
        ("fisher", {}, "statistic fisher"),
        ("regmean", {"information": ("one",)}, "statistic gram"),
        ("half", {"information": ("one", "two")}, "no files"),
        ("model-stock", {}, "common ancestor"),
        ("half", {"base": "x"}, "no common ancestor"),
        ("half", {"temperature": 0.0}, "above 0"),
        ("halv", {}, "must be one of half"),
        ("lm-cocktail", {"task": "contrast", "items": Path("items")}, "with a loss"),
    ],
)
def test_what_a_rule_lacks_or_does_not_take(
    rule: str, more: dict[str, Any], words: str, given: dict[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from suture.data.records import ContrastPair

    monkeypatch.chdir(tmp_path)
    write_items(tmp_path / "items", [ContrastPair("p", "t", "a", "b", "Say.", "Tell.", "X", "y")])
    with pytest.raises(UsageError, match=words):
        weigh(ask(given, rule, **more))


def test_too_few_examples_and_models_that_do_not_fit(given: dict[str, str]) -> None:
    with pytest.raises(BadInputError, match="16 examples"):
        weigh(ask(given, "lm-cocktail", task="clinic_likelihood", items=Path(given["items"])))
    with pytest.raises(IncompatibleError):
        weigh(Request("half", given["general"], given["other"]))


def test_the_command_writes_a_new_file_only(given: dict[str, str], tmp_path: Path) -> None:
    out = tmp_path / "recipe.yaml"
    words = ["weigh", given["general"], given["clinical"], "--by", "half", "--out", str(out)]
    done = CliRunner().invoke(app, words, catch_exceptions=False)
    assert done.exit_code == 0
    assert "general 0.5000, clinical 0.5000" in done.output
    assert load_recipe(out).merge_method == "linear"
    assert isinstance(CliRunner().invoke(app, words).exception, OutputExistsError)
