from pathlib import Path
from typing import Any

import pytest
import torch

from suture.adapt.fit import fit, whole
from suture.adapt.loss import answer_loss, collate
from suture.adapt.sequences import Example
from suture.adapt.settings import Settings
from suture.checkpoint.load import load_model
from suture.errors import NumericError
from suture.events import Advanced, Event, Finished, Started, listening
from suture.testing.tiny import tiny_model

STOP = 2  # also the padding id of the tiny model
EXAMPLES = [Example((1, 40, 41, 42, STOP), 3), Example((1, 50, STOP), 1), Example((1, 60, 61, 62, 63, 64, STOP), 5)]


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("tiny") / "model")


def settings(**changes: Any) -> Settings:
    return Settings(**{"steps": 3, "batch": 2, "length": 8, "learning_rate": 1e-3, "seed": 4} | changes)


def trained(start: Path, **changes: Any) -> tuple[Any, list[float]]:
    found = fit(load_model(start)[0], EXAMPLES, settings(**changes))
    return whole(found), found.losses


def test_the_stop_token_is_learnt_and_padding_is_not() -> None:
    batch = collate(EXAMPLES[:2])
    assert batch["input_ids"].tolist() == [[1, 40, 41, 42, STOP], [1, 50, STOP, 0, 0]]
    assert batch["attention_mask"].tolist() == [[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]]
    assert batch["labels"].tolist() == [[-100, -100, -100, 42, STOP], [-100, 50, STOP, -100, -100]]


def test_loss_is_the_mean_nll_of_the_learnt_tokens_alone(start: Path) -> None:
    model, _ = load_model(start)
    nll = []
    for example in EXAMPLES:
        with torch.no_grad():
            log_p = model(torch.tensor([example.tokens])).logits[0].double().log_softmax(-1)
        nll += [-log_p[at - 1, example.tokens[at]].item() for at in range(example.start, len(example.tokens))]
    assert len(nll) == 2 + 2 + 2
    assert answer_loss(model, collate(EXAMPLES)).item() == pytest.approx(sum(nll) / 6, rel=1e-5)


@pytest.mark.parametrize("rank", [None, 4])
def test_the_same_run_twice_gives_the_same_weights(start: Path, rank: int | None) -> None:
    runs = [trained(start, lora_rank=rank, lora_dropout=0.1) for _ in range(2)]
    weights = [model.state_dict() for model, _ in runs]
    assert runs[0][1] == runs[1][1]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])
    before = load_model(start)[0].state_dict()
    assert weights[0].keys() == before.keys()
    assert any(not torch.equal(weights[0][name], before[name]) for name in before)


def test_an_adapter_leaves_embeddings_and_norms_and_moves_every_linear_layer(start: Path) -> None:
    before = load_model(start)[0].state_dict()
    after = trained(start, lora_rank=2)[0].state_dict()
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert moved == {name for name in before if "proj" in name}


def test_training_lowers_the_loss_and_learns_to_stop(start: Path) -> None:
    model, losses = trained(start, steps=120, learning_rate=1e-2)
    assert losses[-1] < 0.1 < losses[0]
    answer = model.generate(torch.tensor([[1]]), max_new_tokens=8, do_sample=False)
    assert answer[0, -1] == STOP


def test_a_diverging_run_ends_in_a_numeric_error(start: Path) -> None:
    model, _ = load_model(start)
    model.model.embed_tokens.weight.data[40] = float("inf")
    with pytest.raises(NumericError, match="finite"):
        fit(model, EXAMPLES, settings())


def test_weights_spoilt_by_the_last_step_are_found(start: Path) -> None:
    with pytest.raises(NumericError, match="Every weight"):
        fit(load_model(start)[0], EXAMPLES, settings(steps=1, learning_rate=1e39))


def test_progress_is_told_and_nothing_is_printed(start: Path, capfd: pytest.CaptureFixture[str]) -> None:
    told: list[Event] = []
    with listening(told.append):
        fit(load_model(start)[0], EXAMPLES, settings())
    assert told == [Started("training", 3, "steps"), *[Advanced("training", 1)] * 3, Finished("training")]
    out, err = capfd.readouterr()
    assert (out, err) == ("", "")
