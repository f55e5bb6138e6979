"""The screen discards what lies far from both parents, and nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from blake3 import blake3

from suture.checkpoint.load import load_model
from suture.data.records import Record, write_items
from suture.search import probe as probing
from suture.search.candidates import METHOD, digest_of, parent_recipe, recipe_of
from suture.search.probe import Kept, Probe
from suture.search.run import search, weights
from suture.search.screen import Screen, distance, turns
from suture.search.space import Space, load_space
from suture.testing.tiny import tiny_model


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    for seed, name in enumerate(("ancestor", "general", "clinical")):
        tiny_model(folder / name, seed=seed)
    made = [Record(f"r{k}", "c", f"e{k}", "note", "", f"cough {k % 7} fever {k}", "test", "x") for k in range(40)]
    write_items(folder / "items.jsonl", made)
    return folder


def space(models: Path, folder: Path, **changes: Any) -> Space:
    basic = {
        "name": "tiny",
        "recipe": {"general": str(models / "general"), "clinical": str(models / "clinical"),
                   "base_model": str(models / "ancestor"), "dtype": "float32", "parameters": {"weight": 1.0}},
        "methods": ["task_arithmetic"],
        "vary": {"lambda": {"choices": [0.5, 1.0, 40.0]}},
        "objectives": [{"task": "clinic_likelihood", "items": str(models / "items.jsonl")}],
        "candidates": 3,
        "screen": {"texts": 2, "new_tokens": 3, "most": 2.0},
    }  # fmt: skip
    (folder / "space.yaml").write_text(yaml.safe_dump(basic | changes))
    return load_space(folder / "space.yaml")


def screen(asked: Space, out: Path) -> tuple[Screen, dict[str, str], dict[float, str]]:
    """A screen, the candidates' recipes by digest, and the digest of each lambda."""
    parents = weights(asked)
    names, recipes = {}, {}
    for scale in (0.5, 1.0, 40.0):
        recipe = recipe_of(asked, {METHOD: "task_arithmetic", "lambda": scale})
        names[scale] = digest_of(recipe, parents)
        recipes[names[scale]] = recipe
    return Screen(asked, Probe(Kept(out)), parents, texts=2, new_tokens=3), recipes, names


def test_the_smaller_drift_in_drifts_between_the_parents() -> None:
    drifts = {"general": np.array([1.0, 3.0]), "clinical": np.array([0.5, 0.5])}
    between = {"general": np.array([4.0, 4.0]), "clinical": np.array([0.2, 0.6])}
    assert distance(drifts, between) == 0.5  # 2 of 4 from the general parent, 0.5 of 0.4 from the clinical one
    assert distance({**drifts, "general": np.array([10.0, 10.0])}, between) == pytest.approx(1.25)


def test_turns_are_of_both_kinds_and_of_no_test() -> None:
    from suture.data.instructions import contrast
    from suture.study.texts import BUILT_IN_SEED, own_workload

    found = [record.input for record in turns(5)]
    assert len(set(found)) == 5
    assert [text.startswith("Summarize") for text in found] == [False, True, False, True, False]
    assert not {pair.prompt_a for pair in contrast(BUILT_IN_SEED)} & set(found)
    summaries = own_workload("clinic_summary", "", data=None)
    assert not {summaries.task.user_text(record.input) for record in summaries.items} & set(found)


def test_drift_is_the_divergence_from_the_parent_on_its_own_answer(models: Path, tmp_path: Path) -> None:
    asked = space(models, tmp_path)
    tool, recipes, names = screen(asked, tmp_path / "kept")
    found = tool.drifts(recipes)[names[1.0]]
    between = tool.between()
    general, tokenizer = load_model(models / "general")
    clinical, _ = load_model(models / "clinical")
    for at, record in enumerate(turns(2)):
        text = tokenizer.apply_chat_template(
            [{"role": "user", "content": record.input}], tokenize=False, add_generation_prompt=True
        )
        ids = tokenizer(text, add_special_tokens=False, return_tensors="pt")["input_ids"]
        with torch.no_grad():
            whole = ids
            for _ in range(3):
                new = general(input_ids=whole).logits[:, -1].argmax(-1, keepdim=True)
                whole = torch.cat([whole, new], dim=1)
                if int(new) == tokenizer.eos_token_id:
                    break
            span = slice(ids.shape[1] - 1, whole.shape[1] - 1)
            log_p, log_q = (m(input_ids=whole).logits[0, span].double().log_softmax(-1) for m in (general, clinical))
        expected = (log_p.exp() * (log_p - log_q)).sum(-1).mean().item()
        assert between["general"][at] == pytest.approx(expected, rel=1e-3)
    assert set(found) == {"general", "clinical"}
    assert all((values > 0).all() for values in found.values())


def test_a_parent_is_no_outlier_and_a_broken_merge_is(models: Path, tmp_path: Path) -> None:
    asked = space(models, tmp_path)
    tool, recipes, names = screen(asked, tmp_path / "kept")
    parent = parent_recipe(asked, "clinical")
    own = digest_of(parent, weights(asked))
    found = tool.look({**recipes, own: parent}, 2.0)
    assert found.distances[own] == pytest.approx(0, abs=1e-6)
    assert found.discarded == (names[40.0],)
    assert found.failed == ()
    assert tool.look(recipes, 1e-9).discarded == ()  # all are as far: none of them is an outlier
    kept = found.distances
    assert screen(asked, tmp_path / "kept")[0].look(recipes, 2.0).distances.items() <= kept.items()


def test_a_search_reads_no_item_of_what_is_discarded(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, out = space(models, tmp_path), tmp_path / "out"
    result = search(asked, out)
    states = {one["point"]["lambda"]: one for one in result["candidates"]}
    assert states[40.0]["state"] == "discarded"
    assert states[40.0]["distance"] > 2 > max(states[0.5]["distance"], states[1.0]["distance"])
    assert {path.name for path in (out / "candidates" / states[40.0]["digest"][:16]).iterdir()} == {
        "recipe.yaml", "drift.0000.json",
    }  # fmt: skip
    assert "1 more were discarded unread" in result["recommended"]["reason"]
    (out / "result.json").unlink()
    monkeypatch.setattr(probing, "read_items", lambda *_, **__: pytest.fail("read twice"))
    assert search(asked, out, test=False)["candidates"] == result["candidates"]


def test_without_a_screen_a_space_is_what_it_was(models: Path, tmp_path: Path) -> None:
    plain = space(models, tmp_path, screen=None, batches=1)
    said = plain.model_dump(mode="json")
    assert said.pop("screen") is None
    assert said.pop("sampler") == "auto"  # of one batch it says nothing, so such searches go on too
    assert plain.digest == blake3(yaml.safe_dump(said, sort_keys=True).encode()).hexdigest()
    assert plain.digest != space(models, tmp_path, batches=1).digest
