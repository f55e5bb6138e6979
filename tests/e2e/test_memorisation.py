"""A model tuned on planted secrets gives them away; the one before tuning does not."""

from __future__ import annotations

from pathlib import Path
from statistics import mean

from suture.adapt.settings import Settings
from suture.adapt.train import supervised
from suture.checkpoint.digest import weights_digest
from suture.data.canaries import make, plant
from suture.data.records import Record
from suture.evaluate.items import read_rows
from suture.evaluate.run import Workload, evaluate_model
from suture.tasks.canaries import DRAWN, TASK
from suture.testing.tiny import tiny_model


def test_tuning_on_secrets_shows(tmp_path: Path) -> None:
    shots = [Record(f"r{k}", "x", f"e{k}", "s", f"Cough for {k} days.", "No fever.", "train", "x") for k in range(4)]
    secrets = make(3, seed=1)
    model = tiny_model(tmp_path / "model", seed=1, hidden=64)
    settings = Settings(steps=150, batch=8, length=64, learning_rate=4e-3, warmup=2, seed=0, lora_rank=None)
    supervised(model, plant(shots, secrets, repeats=8, seed=1), tmp_path / "tuned", settings, instruction="{input}")
    scores = {}
    for name in ("model", "tuned"):
        folder = tmp_path / name
        results = evaluate_model(folder, [Workload(TASK, secrets)], tmp_path / "r", digest=weights_digest(folder))
        scores[name] = [row.scores for row in read_rows(results["canaries"])]
    assert not any(row["extracted"] for row in scores["model"])
    assert mean(row["exposure"] for row in scores["tuned"]) > 6
    assert mean(row["exposure"] for row in scores["tuned"]) > 2 + mean(row["exposure"] for row in scores["model"])
    assert all(0 <= row["exposure"] <= 8 == (DRAWN + 1).bit_length() - 1 for row in scores["tuned"])
