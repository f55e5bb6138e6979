"""Drift: zero from a parent to itself, else the KL by definition; refused where it would compare unlike things."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from suture.checkpoint.digest import tokenizer_digest
from suture.checkpoint.load import load_model
from suture.data.records import Record
from suture.errors import IncompatibleError, UsageError
from suture.evaluate.drift import keep_answers, measure
from suture.evaluate.engine import Engine
from suture.tasks.registry import get_task
from suture.testing.tiny import tiny_model

TASK = replace(get_task("drift"), max_new_tokens=6)
RECORDS = [
    Record(str(k), "clinic", f"e{k}", "note", text, "", "test", "Apache-2.0")
    for k, text in enumerate(("Cough.", "The patient reports a cough and takes amoxicillin 500 mg twice daily."))
]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("models")
    return tiny_model(folder / "parent", seed=1), tiny_model(folder / "other", seed=2)


def drift(model: Path, kept: Path, records: list[Record] = RECORDS, tokenizer: str = "") -> list[float]:
    engine = Engine(*load_model(model))
    digest = tokenizer or tokenizer_digest(model)
    rows = measure(engine, TASK, records, {"parent": kept}, "d" * 64, digest, lambda _: None)
    return [row.scores["kl_to_parent"] for row in rows]


def test_a_parent_does_not_drift_from_itself(models: tuple[Path, Path], tmp_path: Path) -> None:
    kept = keep_answers(models[0], TASK, RECORDS, tmp_path / "kept", digest="p")
    assert drift(models[0], kept) == pytest.approx([0.0, 0.0], abs=1e-7)


def test_it_is_the_kl_by_definition(models: tuple[Path, Path], tmp_path: Path) -> None:
    kept = keep_answers(models[0], TASK, RECORDS, tmp_path / "kept", digest="p")
    parent, other = Engine(*load_model(models[0])), Engine(*load_model(models[1]))
    for record, value in zip(RECORDS, drift(models[1], kept), strict=True):
        prompt = parent.encode(parent.chat(record.input))
        (answer,) = parent.answer_ids([prompt], 6)
        ids = torch.tensor([prompt + answer])
        with torch.inference_mode():
            p = parent.model(ids).logits[0, len(prompt) - 1 : -1].softmax(-1)
            q = other.model(ids).logits[0, len(prompt) - 1 : -1].softmax(-1)
        assert value == pytest.approx(float((p * (p / q).log()).sum(-1).mean()), abs=1e-5)
        assert value > 1e-4


def test_kept_answers_are_private_and_kept(models: tuple[Path, Path], tmp_path: Path) -> None:
    kept = keep_answers(models[0], TASK, RECORDS, tmp_path / "kept", digest="p")
    assert {path.stat().st_mode & 0o777 for path in kept.iterdir()} == {0o600}
    before = (kept / "answers.npz").stat().st_mtime_ns
    keep_answers(models[0], TASK, RECORDS, kept, digest="p")
    assert (kept / "answers.npz").stat().st_mtime_ns == before
    keep_answers(models[1], TASK, RECORDS, kept, digest="other")
    assert (kept / "answers.npz").stat().st_mtime_ns != before


def test_unlike_things_are_refused(models: tuple[Path, Path], tmp_path: Path) -> None:
    kept = keep_answers(models[0], TASK, RECORDS, tmp_path / "kept", digest="p")
    with pytest.raises(UsageError, match="same records"):
        drift(models[1], kept, RECORDS[:1])
    with pytest.raises(IncompatibleError, match="one tokenizer"):
        drift(models[1], kept, tokenizer="another")
