"""A server with echoed log-probabilities gives what the model in this process gives; others are refused in time."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from suture.checkpoint.digest import weights_digest
from suture.checkpoint.load import load_model
from suture.cli import main
from suture.data.prepare import load
from suture.errors import IncompatibleError, ResourceError, UsageError
from suture.evaluate.backends import connect
from suture.evaluate.engine import Engine
from suture.evaluate.items import read_meta, read_rows
from suture.evaluate.packing import Request
from suture.evaluate.run import Workload, evaluate_model
from suture.tasks.registry import get_task
from suture.tasks.suites import SUITE_TASKS
from suture.testing.tiny import tiny_model

from ..conftest import CANARY


@dataclass
class Stub:
    """A completions server for one model: what it was asked, and how it misbehaves."""

    engine: Engine
    url: str = ""
    asked: list[dict[str, Any]] = field(default_factory=list)
    echoes: bool = True
    status: int = 200

    def answer(self, payload: dict[str, Any]) -> dict[str, Any]:
        self.asked.append(payload)
        choices = []
        for index, ids in enumerate(payload["prompt"]):
            if payload.get("echo"):
                read = self.engine.read(
                    [Request(ids[:1], [ids[1:]])], lambda p, t: p.gather(1, t[:, None])[:, 0].tolist()
                )
                values = {"token_logprobs": [None, *read[0][0], -1.0]} if self.echoes else None
                choices.append({"index": index, "text": "", "logprobs": values, "finish_reason": "length"})
            else:
                (row,) = self.engine.answer_ids([ids], payload["max_tokens"])
                text = self.engine.tokenizer.decode(row, skip_special_tokens=True)
                reason = "stop" if row[-1] in self.engine.stop else "length"
                choices.append({"index": index, "text": text, "finish_reason": reason})
        return {"choices": choices[::-1]}  # the order of a server need not be ours


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("models")
    return tiny_model(folder / "one", seed=1), tiny_model(folder / "two", seed=2)


@pytest.fixture
def stub(folders: tuple[Path, Path]) -> Iterator[Stub]:
    held = Stub(Engine(*load_model(folders[0])))

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            status = held.status if self.path == "/v1/completions" else 404
            data = json.dumps(held.answer(body) if status == 200 else {"error": body}).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    held.url = f"http://127.0.0.1:{server.server_address[1]}/v1"
    yield held
    server.shutdown()
    server.server_close()


def work(official: Path) -> list[Workload]:
    short = replace(SUITE_TASKS["meqsum"], max_new_tokens=6)
    return [
        Workload(SUITE_TASKS["medqa"], load("medqa", official).items),
        Workload(short, load("meqsum", official).items),
    ]


def link(stub: Stub, folder: Path, loads: list[Workload], **settings: Any) -> Any:
    return connect(
        "openai", folder, loads, **{"url": stub.url, "served": "m", "fingerprint": True, "dtype": "", **settings}
    )


def test_a_server_gives_the_rows_of_the_model_in_this_process(
    stub: Stub, folders: tuple[Path, Path], official: Path, tmp_path: Path
) -> None:
    loads = work(official)
    found = link(stub, folders[0], loads)
    assert (found.about["weights evidence"], found.reuse) == ("confirmed", True)
    assert found.digest == weights_digest(folders[0])
    settings = {"answerer": found.answerer, "about": found.about, "digest": found.digest}
    remote = evaluate_model(folders[0], loads, tmp_path / "remote", **settings)
    local = evaluate_model(folders[0], loads, tmp_path / "local", digest=found.digest)
    for name in ("medqa", "meqsum"):
        for one, other in zip(read_rows(remote[name]), read_rows(local[name]), strict=True):
            assert (one.item_id, one.response, one.answer) == (other.item_id, other.response, other.answer)
            for metric, value in other.scores.items():
                assert one.scores[metric] == pytest.approx(value, abs=1e-3, nan_ok=True)
    count = len(stub.asked)
    evaluate_model(folders[0], loads, tmp_path / "remote", **settings)
    assert len(stub.asked) == count  # reused


def test_another_model_behind_the_server_is_refused(stub: Stub, folders: tuple[Path, Path], official: Path) -> None:
    with pytest.raises(IncompatibleError, match="folder's weights"):
        link(stub, folders[1], work(official))


def test_without_a_fingerprint_results_are_asserted_and_not_reused(
    stub: Stub, folders: tuple[Path, Path], official: Path, tmp_path: Path
) -> None:
    loads = work(official)[:1]
    found = link(stub, folders[1], loads, fingerprint=False)
    assert found.digest == f"asserted-{weights_digest(folders[1])}"
    settings = {"answerer": found.answerer, "about": found.about, "digest": found.digest, "reuse": found.reuse}
    folder = evaluate_model(folders[1], loads, tmp_path, **settings)["medqa"]
    assert read_meta(folder)["key"]["engine"]["weights evidence"] == "asserted"
    assert all(row.model_digest.startswith("asserted-") for row in read_rows(folder))
    count = len(stub.asked)
    evaluate_model(folders[1], loads, tmp_path, **settings)
    assert len(stub.asked) == count + 4


@pytest.mark.parametrize("fault", ["no echo", "no endpoint", "address"])
def test_a_chat_only_server_is_refused_for_multiple_choice_before_an_item_is_sent(
    stub: Stub, folders: tuple[Path, Path], official: Path, fault: str
) -> None:
    stub.echoes = fault != "no echo"
    stub.status = 404 if fault == "no endpoint" else 200
    url = f"{stub.url}/chat/completions" if fault == "address" else stub.url
    with pytest.raises(IncompatibleError, match="echoed log-probabilities") as caught:
        link(stub, folders[0], work(official), url=url)
    assert CANARY not in json.dumps(stub.asked) + str(caught.value)
    assert fault != "address" or not stub.asked


def test_a_server_without_echo_may_write_but_its_weights_stay_asserted(
    stub: Stub, folders: tuple[Path, Path], official: Path
) -> None:
    stub.echoes = False
    found = link(stub, folders[0], work(official)[1:])
    assert found.about["weights evidence"] == "asserted"


def test_a_server_that_is_not_there_and_tasks_that_it_cannot_do(
    stub: Stub, folders: tuple[Path, Path], official: Path
) -> None:
    with pytest.raises(ResourceError, match="server must answer"):
        link(stub, folders[0], work(official), url="http://127.0.0.1:9/v1")
    with pytest.raises(UsageError, match="--backend hf"):
        link(
            stub,
            folders[0],
            [
                replace(
                    work(official)[0],
                    task=replace(get_task("clinic_mcq"), kind="drift"),
                    items=load("meqsum", official).items,
                )
            ],
        )
    with pytest.raises(UsageError, match="no --url"):
        link(stub, folders[0], work(official), url="")


def test_from_the_command_line(
    stub: Stub, folders: tuple[Path, Path], official: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["eval", str(folders[0]), "--task", "medqa", "--data", str(official), "--out", str(tmp_path)]
    with pytest.raises(SystemExit) as ended:
        main([*words, "--backend", "openai", "--url", stub.url])
    assert not ended.value.code
    assert "confirmed by their log-probabilities" in " ".join(capsys.readouterr().out.split())
