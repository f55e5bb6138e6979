"""A server with the completions interface of OpenAI, as vLLM and llama.cpp have: greedy text, echoed log-probabilities.

Prompts are sent as token ids of the folder's own tokenizer. A server does not show its weights: the user names the
folder, and a fingerprint (the log-probabilities of three fixed sentences, computed here once) confirms it. A merge very
close to the folder's weights has the same fingerprint within a server's rounding: it excludes another model, not a near
twin. Without fingerprint the results say "asserted" and are not reused.
"""

from __future__ import annotations

import json
import os
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from suture.checkpoint.digest import weights_digest
from suture.errors import IncompatibleError, Problem, ResourceError, UsageError
from suture.evaluate.backends import Connection
from suture.evaluate.backends.needs import reads
from suture.evaluate.backends.remote import Remote, Written
from suture.evaluate.workload import Workload

FINGERPRINT = (
    "The quick brown fox jumps over the lazy dog, and then it sleeps until the evening.",
    "Water boils at one hundred degrees; it freezes at zero, and in between it is wet.",
    "First read the question, then think about it for a while, and only then write an answer.",
)
MEAN_APART, MOST_APART = 0.05, 0.5  # nats a token: what bfloat16 on another device does to float32 is below
TIMEOUT = 600.0


class Completions(Remote):
    """The endpoint `url`/completions for the model that is served as `served`."""

    def __init__(self, folder: Path, url: str, served: str) -> None:
        super().__init__(folder)
        self.url, self.served = url, served

    def log_probs(self, texts: Sequence[Sequence[int]]) -> list[list[float]]:
        """Return log p of every token but the first of each text; raises IncompatibleError where none are echoed."""
        settings = {"max_tokens": 1, "temperature": 0, "logprobs": 1, "echo": True}
        rows = []
        for text, choice in zip(texts, self._choices(texts, settings), strict=True):
            values = ((choice.get("logprobs") or {}).get("token_logprobs") or [])[1 : len(text)]
            if len(values) != len(text) - 1 or not all(isinstance(value, int | float) for value in values):
                raise IncompatibleError(_no_echo(self.url, "an answer without them"))
            rows.append([float(value) for value in values])
        return rows

    def write(self, prompts: Sequence[Sequence[int]], max_new_tokens: int) -> list[Written]:
        """Answer prompts greedily."""
        found = []
        for choice in self._choices(prompts, {"max_tokens": max_new_tokens, "temperature": 0, "seed": 0}):
            text = str(choice["text"])
            tokens = len(self.tokenizer(text, add_special_tokens=False)["input_ids"])
            found.append(Written(text, tokens, "stop" if choice.get("finish_reason") == "stop" else "length"))
        return found

    def _choices(self, prompts: Sequence[Sequence[int]], settings: Mapping[str, Any]) -> list[dict[str, Any]]:
        body = self._post({"model": self.served, "prompt": [list(prompt) for prompt in prompts], **settings})
        choices = body.get("choices") if isinstance(body, dict) else None
        if not isinstance(choices, list) or len(choices) != len(prompts):
            raise IncompatibleError(_no_echo(self.url, "an answer of another form"))
        return sorted(choices, key=lambda choice: int(choice.get("index", 0)))

    def _post(self, payload: Mapping[str, Any]) -> Any:
        """Send one request. No message of an error quotes request or answer."""
        headers = {"Content-Type": "application/json"}
        if key := os.environ.get("OPENAI_API_KEY"):
            headers["Authorization"] = f"Bearer {key}"
        request = urllib.request.Request(f"{self.url}/completions", json.dumps(payload).encode(), headers)
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            raise IncompatibleError(_no_echo(self.url, f"HTTP status {error.code}")) from None
        except (OSError, ValueError) as error:
            got, do = type(error).__name__, "Check that it runs; run the same command again to go on."
            raise ResourceError(Problem("The server must answer.", got, self.url, do)) from None


def connect(folder: Path, work: Sequence[Workload], *, url: str, served: str, fingerprint: bool) -> Connection:
    """Return the connection to a server; see `suture.evaluate.backends.connect`."""
    url = url.rstrip("/")
    if not url:
        raise UsageError(
            Problem("The backend openai needs a server.", "no --url", do="Give --url http://HOST:PORT/v1.")
        )
    if not url.startswith(("http://", "https://")):
        raise UsageError(Problem("The server's address must begin with http:// or https://.", url))
    reading = [load.task.name for load in work if reads(load)]
    if url.endswith("/chat/completions") or (url.endswith("/chat")):
        must = f"Multiple choice ({', '.join(reading)}) needs completions with echoed log-probabilities."
        raise IncompatibleError(Problem(must if reading else "Completions are needed.", "a chat-only address", url))
    url = url.removesuffix("/completions")
    server = Completions(folder, url, served or folder.name)
    digest = weights_digest(folder)
    confirmed = False
    if reading or fingerprint:
        try:
            echoed = _fingerprint(server)
        except IncompatibleError:
            if reading:
                raise
            echoed = None  # a server that only writes can do the tasks at hand; its weights stay asserted
        if echoed is not None and fingerprint:
            _confirm(folder, server, echoed)
            confirmed = True
    about = {"name": "openai completions", "served": server.served}
    evidence = "confirmed" if confirmed else "asserted"
    return Connection(
        server,
        {**about, "weights evidence": evidence},
        digest if confirmed else f"asserted-{digest}",
        confirmed,
    )


def _fingerprint(server: Completions) -> list[list[float]]:
    return server.log_probs([server.encode(text, special=True) for text in FINGERPRINT])


def _confirm(folder: Path, server: Completions, echoed: Sequence[Sequence[float]]) -> None:
    """Raise IncompatibleError unless the folder's weights give the log-probabilities that the server echoed."""
    from suture.checkpoint.load import load_model
    from suture.evaluate.engine import Engine
    from suture.evaluate.packing import Request

    engine = Engine(*load_model(folder))
    texts = [server.encode(text, special=True) for text in FINGERPRINT]
    own = engine.read(
        [Request(ids[:1], [ids[1:]]) for ids in texts],
        lambda log_probs, ids: log_probs.gather(1, ids[:, None])[:, 0].tolist(),
    )
    apart = [abs(a - b) for (row,), other in zip(own, echoed, strict=True) for a, b in zip(row, other, strict=True)]
    mean, most = sum(apart) / len(apart), max(apart)
    if mean > MEAN_APART or most > MOST_APART:
        must = (
            f"The server must run the folder's weights: log-probabilities {MEAN_APART} nats apart at most on average."
        )
        got = f"{mean:.3f} on average, {most:.3f} at most"
        raise IncompatibleError(Problem(must, got, server.url, "Name the folder that is served."))


def _no_echo(url: str, got: str) -> Problem:
    must = "The server must have completions with echoed log-probabilities (multiple choice cannot be read otherwise)."
    return Problem(must, got, url, "Serve it with vLLM or llama.cpp, or use --backend hf.")
