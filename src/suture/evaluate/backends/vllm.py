"""vLLM in this process: many answers at a time on a GPU, the common start of a question's options kept by its cache."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from suture.checkpoint.digest import weights_digest
from suture.errors import MissingExtraError, Problem
from suture.evaluate.backends import Connection
from suture.evaluate.backends.remote import Remote, Written


class Local(Remote):
    """A model folder that vLLM has loaded."""

    def __init__(self, folder: Path, dtype: str) -> None:
        vllm = _import()
        super().__init__(folder)
        self._sampling = vllm.SamplingParams
        self.model = vllm.LLM(
            model=str(folder), tokenizer=str(folder), dtype=dtype, enable_prefix_caching=True, trust_remote_code=False
        )

    def log_probs(self, texts: Sequence[Sequence[int]]) -> list[list[float]]:
        """Return log p of every token but the first of each text."""
        outputs = self._run(texts, temperature=0.0, max_tokens=1, prompt_logprobs=0)
        return [
            [float(found[token].logprob) for token, found in zip(text[1:], output.prompt_logprobs[1:], strict=True)]
            for text, output in zip(texts, outputs, strict=True)
        ]

    def write(self, prompts: Sequence[Sequence[int]], max_new_tokens: int) -> list[Written]:
        """Answer prompts greedily."""
        outputs = self._run(prompts, temperature=0.0, max_tokens=max_new_tokens, skip_special_tokens=True)
        answers = [output.outputs[0] for output in outputs]
        return [Written(a.text, len(a.token_ids), "stop" if a.finish_reason == "stop" else "length") for a in answers]

    def _run(self, texts: Sequence[Sequence[int]], **settings: Any) -> list[Any]:
        prompts = [{"prompt_token_ids": list(text)} for text in texts]
        return list(self.model.generate(prompts, self._sampling(**settings), use_tqdm=False))


def connect(folder: Path, dtype: str) -> Connection:
    """Return the connection to vLLM, which loads the folder's weights itself."""
    vllm = _import()
    about = {"name": "vllm", "vllm": str(vllm.__version__), "dtype": dtype, "weights evidence": "loaded"}
    return Connection(Local(folder, dtype), about, weights_digest(folder), True)


def _import() -> Any:
    import importlib

    try:
        return importlib.import_module("vllm")
    except ImportError:
        raise MissingExtraError(
            Problem("The backend vllm needs vLLM.", "no such package", do="Run: pip install vllm")
        ) from None
