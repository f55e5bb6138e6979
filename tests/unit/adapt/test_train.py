import json
import socket
from pathlib import Path
from typing import Any

import pytest

from suture.adapt.train import Settings, continue_pretraining, supervised
from suture.checkpoint.digest import tokenizer_digest, weights_digest
from suture.checkpoint.header import read_checkpoint
from suture.data.records import Record, digest_items
from suture.errors import NumericError, OutputExistsError
from suture.testing.tiny import CORPUS, tiny_model

RECORDS = [Record(f"r{n}", "made", f"e{n}", "s", text, "Noted.", "train", "none") for n, text in enumerate(CORPUS)]
SHORT = Settings(steps=2, batch=2, length=64, learning_rate=1e-3)


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("tiny") / "model")


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise AssertionError("the network was tried")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


def layout(path: Path) -> dict[str, tuple[str, tuple[int, ...]]]:
    return {name: (info.dtype, tuple(info.shape)) for name, info in read_checkpoint(path).tensors.items()}


@pytest.mark.parametrize("rank", [None, 4])
def test_the_output_is_a_checkpoint_like_the_start(start: Path, tmp_path: Path, rank: int | None) -> None:
    settings = Settings(steps=2, batch=2, length=64, learning_rate=1e-3, lora_rank=rank)
    out = supervised(start, RECORDS, tmp_path / "out", settings, instruction="Summarise: {input}")
    assert layout(out) == layout(start)
    assert weights_digest(out) != weights_digest(start)
    assert tokenizer_digest(out) == tokenizer_digest(start)
    assert json.loads((out / "config.json").read_text()) == json.loads((start / "config.json").read_text())
    assert (out / "generation_config.json").read_bytes() == (start / "generation_config.json").read_bytes()
    assert {file.name for file in out.iterdir()} == {file.name for file in start.iterdir()} | {"training.json"}
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_training_json_says_what_was_done_but_not_where(start: Path, tmp_path: Path) -> None:
    out = supervised(start, RECORDS, tmp_path / "out", SHORT, instruction="{input}")
    text = (out / "training.json").read_text()
    said = json.loads(text)
    assert said["kind"] == "supervised"
    assert said["data_digest"] == digest_items(RECORDS)
    assert said["data_items"] == said["sequences"] == 3
    assert said["settings"]["learning_rate"] == 1e-3
    assert len(said["loss"]) == 2
    assert 0 < said["tokens_learnt"] < said["tokens"]
    assert str(start) not in text
    assert CORPUS[0] not in text


def test_continued_pretraining_needs_no_chat_template_and_learns_every_token(tmp_path: Path) -> None:
    plain = tiny_model(tmp_path / "plain", chat_template=False)
    out = continue_pretraining(plain, CORPUS * 8, tmp_path / "out", SHORT)
    said = json.loads((out / "training.json").read_text())
    assert said["kind"] == "continued pre-training"
    assert said["tokens"] == 64 * said["sequences"]
    assert said["tokens_learnt"] == 63 * said["sequences"]


def test_the_same_run_twice_gives_the_same_digest_and_another_seed_another(start: Path, tmp_path: Path) -> None:
    texts = CORPUS * 40
    other = Settings(steps=2, batch=2, length=64, learning_rate=1e-3, seed=1)
    digests = [
        weights_digest(continue_pretraining(start, texts, tmp_path / str(n), settings))
        for n, settings in enumerate((SHORT, SHORT, other))
    ]
    assert digests[0] == digests[1] != digests[2]


def test_a_bf16_start_stays_bf16(tmp_path: Path) -> None:
    start = tiny_model(tmp_path / "start", dtype="bfloat16")
    out = continue_pretraining(start, CORPUS * 8, tmp_path / "out", SHORT)
    assert layout(out) == layout(start)
    assert {dtype for dtype, _ in layout(out).values()} == {"BF16"}


def test_files_in_the_output_folder_are_never_touched(start: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("kept")
    with pytest.raises(OutputExistsError):
        continue_pretraining(start, CORPUS * 8, tmp_path, SHORT)
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_a_failed_run_leaves_nothing(start: Path, tmp_path: Path) -> None:
    wild = Settings(steps=2, batch=2, length=64, learning_rate=1e39)
    with pytest.raises(NumericError):
        continue_pretraining(start, CORPUS * 8, tmp_path / "out", wild)
    assert list(tmp_path.iterdir()) == []
