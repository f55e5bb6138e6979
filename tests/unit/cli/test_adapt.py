from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from suture.adapt.presets import PRESETS, preset_rows, resolved
from suture.adapt.settings import Settings
from suture.checkpoint.digest import weights_digest
from suture.checkpoint.load import load_model
from suture.data.records import Record, write_items
from suture.testing.command import run_command
from suture.testing.tiny import CORPUS, tiny_model

ROOT = Path(__file__).parents[3]
SECRET = "Zanzibar-4711"


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("tiny") / "model")


@pytest.fixture
def records(tmp_path: Path) -> Path:
    path = tmp_path / "records.jsonl"
    made = [Record(f"r{n}", "made", f"e{n}", "s", f"{text} {SECRET}", "Noted.", "train", "none")
            for n, text in enumerate(CORPUS * 3)]  # fmt: skip
    write_items(path, made)
    return path


QUICK = ("--steps", 2, "--batch", 2, "--length", 256)


def test_an_adapter_that_peft_reads_and_that_equals_the_merged_model(
    start: Path, records: Path, tmp_path: Path
) -> None:
    import peft

    out, merged = tmp_path / "adapter", tmp_path / "merged"
    assert run_command("adapt", start, out, "--data", records, "--shots", 4, *QUICK) == 0
    assert run_command("adapt", start, merged, "--data", records, "--shots", 4, *QUICK, "--merged") == 0
    assert {path.name for path in out.iterdir()} == {
        "adapter_config.json",
        "adapter_model.safetensors",
        "training.json",
    }
    said = json.loads((out / "training.json").read_text())
    assert said["base_weights_digest"] == weights_digest(start)
    assert (said["shots"], said["shot_seed"], said["preset"]) == (4, 0, "small-lora")
    joined = peft.PeftModel.from_pretrained(load_model(start)[0], str(out)).merge_and_unload().state_dict()
    written = load_model(merged)[0].state_dict()
    assert all(torch.allclose(joined[name], written[name], atol=1e-6) for name in written)
    assert not (tmp_path / "adapter.training").exists()


def test_the_adapter_stands_in_a_recipe(start: Path, records: Path, tmp_path: Path) -> None:
    out, merged, made = tmp_path / "adapter", tmp_path / "merged", tmp_path / "made"
    assert run_command("adapt", start, out, "--data", records, "--shots", 4, *QUICK) == 0
    assert run_command("adapt", start, merged, "--data", records, "--shots", 4, *QUICK, "--merged") == 0
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(f"merge_method: passthrough\nmodels:\n  - model: {start}+{out}\n")
    assert run_command("merge", recipe, made) == 0
    one, other = (load_model(path)[0].state_dict() for path in (made, merged))
    assert all(torch.allclose(one[name], other[name], atol=1e-6) for name in other)


def test_no_text_of_a_record_stands_beside_the_weights(
    start: Path, records: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    for mode in ("lora", "full"):
        assert run_command("adapt", start, tmp_path / mode, "--data", records, "--mode", mode, *QUICK) == 0
        for path in (tmp_path / mode).iterdir():
            assert SECRET.encode() not in path.read_bytes(), path
    assert SECRET not in "".join(capfd.readouterr())


def test_early_stopping_tells_what_it_kept(
    start: Path, records: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    words = ("--development", 0.3, "--evaluate-every", 1, "--batch", 2, "--steps", 3)
    assert run_command("adapt", start, tmp_path / "out", "--data", records, *words) == 0
    assert "kept update" in capfd.readouterr().out
    said = json.loads((tmp_path / "out" / "training.json").read_text())
    assert said["development_items"] + said["data_items"] == said["shots"]
    assert said["settings"]["patience"] == 3


def test_reading_on_in_raw_notes_makes_a_whole_model(start: Path, tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    notes.mkdir()
    for number, text in enumerate(CORPUS):
        (notes / f"{number}.txt").write_text(text * 4)
    words = ("--mode", "cpt", "--data", notes, "--length", 32, "--steps", 1, "--batch", 1)
    assert run_command("adapt", start, tmp_path / "out", *words) == 0
    said = json.loads((tmp_path / "out" / "training.json").read_text())
    assert said["kind"] == "continued pre-training"
    assert said["data_items"] == len(CORPUS)
    assert weights_digest(tmp_path / "out") != weights_digest(start)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ((), "something to learn from"),
        (("--task", "clinic_summary", "--mode", "cpt"), "raw notes"),
        (("--task", "clinic_summry"), "clinic_summary"),
        (("--task", "clinic_summary", "--shots", 9999), "240"),
        (("--task", "clinic_summary", "--preset", "small-lore"), "small-lora"),
        (("--task", "mts_section"), "Main-Dataset"),
    ],
)
def test_what_cannot_be_learnt_is_said_before_training(
    start: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], words: tuple[Any, ...], told: str
) -> None:
    assert run_command("adapt", start, tmp_path / "out", *words) != 0
    assert told in " ".join(capfd.readouterr().err.split())
    assert not (tmp_path / "out").exists()


def test_every_preset_is_valid_and_stands_in_the_documentation(capfd: pytest.CaptureFixture[str]) -> None:
    for name in PRESETS:
        settings = Settings(**resolved(name, 64, {}))
        assert settings.warmup <= settings.steps / 10
    page = (ROOT / "docs" / "adapt.md").read_text()
    for name, setting, value, source in preset_rows():
        assert f"| `{name}` | `{setting}` | {value} | {source} |" in page
    assert run_command("adapt", "--list-presets") == 0
    assert "clinical-lora" in capfd.readouterr().out


def test_the_clinical_recipe_is_the_stated_one() -> None:
    settings = Settings(**resolved("clinical-lora", 4096, {}))
    assert (settings.lora_rank, settings.lora_targets, settings.lora_dropout) == (256, "attention", 0.2)
    assert (settings.learning_rate, settings.weight_decay, settings.betas) == (1e-4, 0.01, (0.9, 0.98))
    assert (settings.schedule, settings.warmup, settings.batch * settings.accumulate) == ("cosine", 50, 16)


def test_of_several_processes_only_the_one_that_leads_says_what_all_have_met(
    start: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import suture.cli

    monkeypatch.setattr(suture.cli, "HUSH_SECONDS", 0)
    monkeypatch.setenv("ACCELERATE_USE_FSDP", "true")
    for rank, said in (("0", 1), ("1", 0)):
        monkeypatch.setenv("RANK", rank)
        assert run_command("adapt", start, tmp_path / "out", "--task", "clinic_summary") == 2
        assert capfd.readouterr().err.count("Every process must hold the whole model") == said
        assert run_command("adapt", start, "--no-such-option") == 2
        assert capfd.readouterr().err.count("o such option") == said
