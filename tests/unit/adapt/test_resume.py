import json
from pathlib import Path
from typing import Any

import pytest
import torch

from suture.adapt.fit import fit, whole
from suture.adapt.resume import claim
from suture.adapt.sequences import Example
from suture.adapt.settings import Settings
from suture.checkpoint.load import load_model
from suture.errors import NumericError, ResourceError, UsageError
from suture.testing.tiny import tiny_model

EXAMPLES = [Example((1, 40 + n, 41, 60 - n, 2), 2) for n in range(7)]
DEVELOPMENT = [Example((1, 48, 41, 52, 2), 2), Example((1, 49, 41, 51, 2), 2)]


class Killed(BaseException):
    """What a kill looks like from within: nothing is tidied up."""


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("tiny") / "model")


def settings(**changes: Any) -> Settings:
    base = {"steps": 9, "batch": 2, "length": 8, "learning_rate": 1e-2, "seed": 4, "lora_dropout": 0.2}
    return Settings(**base | changes)


def _killed_at(step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Die in the forward pass of the batch after `step` of them."""
    import suture.adapt.trainer as module

    real, seen = module.answer_loss, iter(range(10**6))

    def dies(model: Any, batch: Any) -> Any:
        if model.training and next(seen) == step:
            raise Killed
        return real(model, batch)

    monkeypatch.setattr(module, "answer_loss", dies)


@pytest.mark.parametrize("changes", [{}, {"lora_rank": 2}, {"lora_rank": 2, "patience": 9, "evaluate_every": 2}])
def test_a_killed_run_ends_with_the_same_weights(
    start: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any]
) -> None:
    chosen, development = settings(**changes), DEVELOPMENT if "patience" in changes else []
    once = fit(load_model(start)[0], EXAMPLES, chosen, development=development)
    with monkeypatch.context() as patched:
        _killed_at(7, patched)
        with pytest.raises(Killed):
            fit(load_model(start)[0], EXAMPLES, chosen, development=development, work=tmp_path, save_every=3)
    assert sorted(path.name for path in tmp_path.glob("checkpoint-*")) == ["checkpoint-3", "checkpoint-6"]
    again = fit(load_model(start)[0], EXAMPLES, chosen, development=development, work=tmp_path, save_every=3)
    assert (again.losses, again.development, again.best) == (once.losses, once.development, once.best)
    first, second = whole(once).state_dict(), whole(again).state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_a_checkpoint_that_is_not_whole_is_not_read(
    start: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    once = fit(load_model(start)[0], EXAMPLES, settings())
    with monkeypatch.context() as patched:
        _killed_at(7, patched)
        with pytest.raises(Killed):
            fit(load_model(start)[0], EXAMPLES, settings(), work=tmp_path, save_every=3)
    (tmp_path / "checkpoint-6" / "whole.json").unlink()
    (tmp_path / "checkpoint-6" / "model.safetensors").write_bytes(b"half")
    again = fit(load_model(start)[0], EXAMPLES, settings(), work=tmp_path, save_every=3)
    assert again.losses == once.losses


def test_early_stopping_keeps_the_best_weights_and_ends_early(start: Path) -> None:
    chosen = settings(steps=60, learning_rate=0.05, patience=2, evaluate_every=2)
    found = fit(load_model(start)[0], EXAMPLES, chosen, development=DEVELOPMENT)
    losses = dict(found.development)
    assert found.best == min(losses, key=lambda step: losses[step])
    assert len(found.losses) == max(losses) < 60
    assert [step for step in losses if step > found.best] == [found.best + 2, found.best + 4]
    from suture.adapt.loss import mean_loss

    assert mean_loss(found.model, DEVELOPMENT, chosen) == pytest.approx(losses[found.best], rel=1e-5)


def test_early_stopping_without_development_records_is_refused(start: Path) -> None:
    with pytest.raises(UsageError, match="development"):
        fit(load_model(start)[0], EXAMPLES, settings(patience=2))


def test_batches_that_are_accumulated_are_one_update(start: Path) -> None:
    together = fit(load_model(start)[0], EXAMPLES[:6], settings(steps=4, batch=6))
    apart = fit(load_model(start)[0], EXAMPLES[:6], settings(steps=4, batch=2, accumulate=3))
    assert len(apart.losses) == 4
    assert apart.losses == pytest.approx(together.losses, rel=1e-3)


def test_frozen_layers_and_embeddings_stay(start: Path) -> None:
    before = load_model(start)[0].state_dict()
    after = fit(load_model(start)[0], EXAMPLES, settings(frozen_layers=1)).model.state_dict()
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert moved
    assert not [name for name in moved if "embed" in name or ".layers.0." in name]
    with pytest.raises(UsageError, match="number of decoder layers"):
        fit(load_model(start)[0], EXAMPLES, settings(frozen_layers=99))


def test_less_memory_gives_the_same_weights(start: Path) -> None:
    plain, saving = (fit(load_model(start)[0], EXAMPLES, settings(checkpointing=saving)) for saving in (False, True))
    one, other = plain.model.state_dict(), saving.model.state_dict()
    assert all(torch.allclose(one[name], other[name], atol=1e-6) for name in one)


def test_bfloat16_is_close_and_weights_stay_fp32(start: Path) -> None:
    found = fit(load_model(start)[0], EXAMPLES, settings(autocast="bfloat16", lora_rank=2, lora_targets="attention"))
    plain = fit(load_model(start)[0], EXAMPLES, settings(lora_rank=2, lora_targets="attention"))
    assert found.losses == pytest.approx(plain.losses, rel=0.05)
    assert found.losses != plain.losses
    assert {tensor.dtype for tensor in found.model.state_dict().values()} == {torch.float32}
    names = [name for name, _ in found.model.named_parameters() if "lora" in name]
    assert names
    assert all("_proj" in name and "mlp" not in name for name in names)


def test_a_loss_that_is_not_finite_names_its_step(start: Path, tmp_path: Path) -> None:
    with pytest.raises(NumericError, match="step"):
        fit(load_model(start)[0], EXAMPLES, settings(learning_rate=1e30), work=tmp_path)


def test_the_folder_of_another_training_is_refused_by_what_differs(tmp_path: Path) -> None:
    claim(tmp_path, {"base": "a", "seed": 1})
    claim(tmp_path, {"base": "a", "seed": 1})
    with pytest.raises(UsageError, match="another seed"):
        claim(tmp_path, {"base": "a", "seed": 2})
    assert json.loads((tmp_path / "key.json").read_text()) == {"base": "a", "seed": 1}


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), RuntimeError("file write failed")])
def test_a_full_disk_is_named_and_the_state_before_is_kept(
    start: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    once = fit(load_model(start)[0], EXAMPLES, settings())
    real, calls = torch.save, iter(range(10**6))

    def full(value: Any, path: Any, *words: Any, **named: Any) -> None:
        if "checkpoint-6" in str(path):
            next(calls)
            raise error
        real(value, path, *words, **named)

    with monkeypatch.context() as patched:
        patched.setattr(torch, "save", full)
        patched.setattr("suture.adapt.resume.free_bytes", lambda _: 0)
        with pytest.raises(ResourceError, match=r"bytes free.*Make room"):
            fit(load_model(start)[0], EXAMPLES, settings(), work=tmp_path, save_every=3)
    assert next(calls) == 1
    assert (tmp_path / "checkpoint-3" / "whole.json").is_file()
    again = fit(load_model(start)[0], EXAMPLES, settings(), work=tmp_path, save_every=3)
    assert again.losses == once.losses
