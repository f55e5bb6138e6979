"""The interface to vLLM, against a module of the same shape that answers with a model in this process."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from suture.checkpoint.load import load_model
from suture.errors import MissingExtraError
from suture.evaluate.backends import connect
from suture.evaluate.engine import Engine
from suture.evaluate.packing import Request
from suture.testing.tiny import tiny_model


class LLM:
    """What of vLLM is used: `generate` with prompt log-probabilities, or with text."""

    def __init__(self, model: str, **settings: Any) -> None:
        assert settings["enable_prefix_caching"]
        assert not settings["trust_remote_code"]
        self.engine = Engine(*load_model(Path(model)))

    def generate(self, prompts: list[dict[str, Any]], settings: SimpleNamespace, use_tqdm: bool) -> list[Any]:
        assert not use_tqdm
        outputs = []
        for ids in (prompt["prompt_token_ids"] for prompt in prompts):
            if getattr(settings, "prompt_logprobs", None) is not None:
                ((values,),) = self.engine.read(
                    [Request(ids[:1], [ids[1:]])], lambda p, t: p.gather(1, t[:, None])[:, 0].tolist()
                )
                found = [{token: SimpleNamespace(logprob=v)} for token, v in zip(ids[1:], values, strict=True)]
                outputs.append(SimpleNamespace(prompt_logprobs=[None, *found], outputs=[]))
            else:
                (row,) = self.engine.answer_ids([ids], settings.max_tokens)
                text = self.engine.tokenizer.decode(row, skip_special_tokens=True)
                reason = "stop" if row[-1] in self.engine.stop else "length"
                outputs.append(
                    SimpleNamespace(outputs=[SimpleNamespace(text=text, token_ids=row, finish_reason=reason)])
                )
        return outputs


def test_it_gives_what_the_engine_gives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = SimpleNamespace(LLM=LLM, SamplingParams=SimpleNamespace, __version__="0")
    monkeypatch.setitem(sys.modules, "vllm", module)
    folder = tiny_model(tmp_path / "tiny", seed=1)
    found = connect("vllm", folder, [], url="", served="", fingerprint=True, dtype="float32")
    engine = Engine(*load_model(folder))
    assert found.reuse
    requests = [("Which drug? Answer: ", ["amoxicillin", "none"]), ("Fever?", [" yes", " no", " maybe"])]
    for mine, theirs in zip(found.answerer.pairs(requests), engine.pairs(requests), strict=True):
        assert [one.tokens for one in mine] == [one.tokens for one in theirs]
        assert [one.nats for one in mine] == pytest.approx([one.nats for one in theirs], abs=1e-4)
    for mine, theirs in zip(found.answerer.loglikelihood(requests), engine.loglikelihood(requests), strict=True):
        assert [one.nats for one in mine] == pytest.approx([one.nats for one in theirs], abs=1e-4)
    prompts = [engine.chat("Cough."), engine.chat("Fever, cough and chest pain.")]
    settings: dict[str, Any] = {"max_new_tokens": 6, "batch_size": 1, "truncate": True}
    for one, other in zip(
        found.answerer.generate(prompts, **settings), engine.generate(prompts, **settings), strict=True
    ):
        assert (one.text, one.tokens, one.finish_reason) == (other.text, other.tokens, other.finish_reason)


def test_without_it_the_command_to_run_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "vllm", None)
    with pytest.raises(MissingExtraError, match="pip install vllm"):
        connect("vllm", tmp_path, [], url="", served="", fingerprint=True, dtype="float32")
