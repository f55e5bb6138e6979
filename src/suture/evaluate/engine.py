"""A loaded model that answers: greedy generation and log-likelihood, batched so that shared text is computed once.

Three savings, none of which changes what is computed: a start that all prompts share (a system prompt) is run once; a
prompt is run once for all its continuations; prompts of like length are run together, so little is padded.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from suture.errors import BadInputError, IncompatibleError, Problem
from suture.evaluate.packing import Request, pack
from suture.evaluate.prefill import Start, by_length, forward, prefill_all, select, shared_start

if TYPE_CHECKING:
    from torch import Tensor

R = TypeVar("R")
Advance = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Generation:
    """One greedy answer: its text without special tokens, its tokens (the stop token counts), why it ended, seconds."""

    text: str
    tokens: int
    finish_reason: Literal["stop", "length"]
    seconds: float


@dataclass(frozen=True, slots=True)
class Likelihood:
    """log p of a continuation given its prefix, summed over its tokens, in nats, and how many tokens these are."""

    nats: float
    tokens: int


class Engine:
    """A transformers causal `model` and its `tokenizer`, in evaluation mode."""

    def __init__(self, model: Any, tokenizer: Any) -> None:
        self.model = model.eval()
        self.tokenizer = tokenizer
        stop = model.generation_config.eos_token_id
        stops = {tokenizer.eos_token_id, *(stop if isinstance(stop, list) else [stop])}
        self.stop: frozenset[int] = frozenset(token for token in stops if token is not None)
        self.context = int(getattr(model.config, "max_position_embeddings", None) or 2**31)

    def chat(self, text: str) -> str:
        """Return `text` as one user turn in the model's chat template, up to where the answer begins.

        A tokenizer without a template gets the text and a line break.
        """
        if not self.tokenizer.chat_template:
            return text + "\n"
        turn = [{"role": "user", "content": text}]
        return str(self.tokenizer.apply_chat_template(turn, tokenize=False, add_generation_prompt=True))

    def encode(self, text: str) -> list[int]:
        """Return the token ids of `text`, no special token added; the token that starts a text where it is empty."""
        ids = list(self.tokenizer(text, add_special_tokens=False)["input_ids"])
        if ids:
            return ids
        start = self.tokenizer.bos_token_id
        return [self.tokenizer.eos_token_id if start is None else start]

    def generate(
        self, prompts: Sequence[str], *, max_new_tokens: int, batch_size: int, advance: Advance = lambda _: None
    ) -> list[Generation]:
        """Answer each finished prompt text greedily, until a stop token or `max_new_tokens`.

        Penalties and samplers of the model's own generation config are not applied. Raises BadInputError where a prompt
        and its answer exceed the model's context.
        """
        ids = [self.encode(prompt) for prompt in prompts]
        order = sorted(range(len(ids)), key=lambda i: -len(ids[i]))
        answers: dict[int, Generation] = {}
        for start in range(0, len(order), batch_size):
            chosen = order[start : start + batch_size]
            began = time.perf_counter()
            rows = self.answer_ids([ids[i] for i in chosen], max_new_tokens)
            seconds = (time.perf_counter() - began) / len(chosen)
            texts = self.tokenizer.batch_decode(rows, skip_special_tokens=True)
            for i, row, text in zip(chosen, rows, texts, strict=True):
                answers[i] = Generation(text, len(row), "stop" if row[-1] in self.stop else "length", seconds)
            advance(len(chosen))
        return [answers[i] for i in range(len(ids))]

    def answer_ids(self, prompts: Sequence[Sequence[int]], max_new_tokens: int) -> list[list[int]]:
        """Answer one batch of prompts, all token ids; an answer includes its stop token."""
        import torch

        self._check_context([len(prompt) + max_new_tokens for prompt in prompts])
        with torch.inference_mode():
            return self._decode(prompts, max_new_tokens)

    def loglikelihood(
        self, requests: Sequence[tuple[str, Sequence[str]]], *, advance: Advance = lambda _: None
    ) -> list[list[Likelihood]]:
        """Return log p of each continuation text after its prefix text; a stop token is not scored.

        Prefix and continuation are tokenised apart: the boundary is where a generated answer would begin.
        """
        encoded = [Request(self.encode(prefix), [self.encode(text) for text in texts]) for prefix, texts in requests]
        return self.read(encoded, _sum, advance=advance)

    def read(
        self, requests: Sequence[Request], reduce: Callable[[Tensor, Tensor], R], *, advance: Advance = lambda _: None
    ) -> list[list[R]]:
        """Return `reduce(log_probs, ids)` of every continuation of every request.

        log_probs is float32 [tokens, vocabulary]: row t is the distribution before token t; ids is int64 [tokens].
        """
        import torch

        if not requests:
            return []
        self._check_context([request.context for request in requests])
        results: list[list[R]] = [[] for _ in requests]
        with torch.inference_mode():
            start = shared_start(self.model, [request.prefix for request in requests])
            for chunk in by_length([request.length for request in requests]):
                self._read_chunk([requests[i] for i in chunk], start, reduce, [results[i] for i in chunk])
                advance(len(chunk))
        return results

    def _read_chunk(
        self, requests: Sequence[Request], start: Start, reduce: Callable[[Tensor, Tensor], R], into: list[list[R]]
    ) -> None:
        """Read requests in one pass after their common start."""
        import torch

        ids, mask, positions, keep = pack(requests, start.length, self.model)
        window = getattr(self.model.config.get_text_config(), "sliding_window", None) or self.context
        if any(start.cache.is_sliding) and mask.shape[-1] > window:
            must = f"A prompt and its continuations must fit the model's attention window of {window} tokens."
            raise IncompatibleError(Problem(must, f"{mask.shape[-1]} tokens", do="Shorten the input."))
        cache = select(start.cache, torch.zeros(len(requests), dtype=torch.long, device=ids.device))
        logits = forward(self.model, ids, mask, cache, positions=positions, keep=keep)
        for row, request in enumerate(requests):
            for continuation, (begin, end) in zip(request.continuations, request.spans(), strict=True):
                before = torch.cat([logits[row, :1], logits[row, 1 + begin : 1 + end]])
                target = torch.tensor(continuation, dtype=torch.long, device=logits.device)
                into[row].append(reduce(before.float().log_softmax(dim=-1), target))

    def _decode(self, prompts: Sequence[Sequence[int]], limit: int) -> list[list[int]]:
        """Greedy answers with their stop tokens; a row that has stopped leaves the batch."""
        import torch

        cache, mask, logits = prefill_all(self.model, prompts)
        running = list(range(len(prompts)))
        answers: list[list[int]] = [[] for _ in prompts]
        while True:
            chosen = logits[:, -1].argmax(dim=-1)
            for row, token in zip(running, chosen.tolist(), strict=True):
                answers[row].append(token)
            keep = [
                k for k, row in enumerate(running) if answers[row][-1] not in self.stop and len(answers[row]) < limit
            ]
            if not keep:
                return answers
            if len(keep) < len(running):
                index = torch.tensor(keep, device=mask.device)
                cache.batch_select_indices(index)
                mask, chosen, running = mask[index], chosen[index], [running[k] for k in keep]
            mask = torch.cat([mask, mask.new_ones(len(running), 1)], dim=1)
            logits = forward(self.model, chosen[:, None], mask, cache)

    def _check_context(self, lengths: Sequence[int]) -> None:
        if max(lengths, default=0) > self.context:
            must = f"A prompt and its answer must fit the model's context of {self.context} tokens."
            raise BadInputError(Problem(must, f"{max(lengths)} tokens", do="Shorten the input or the answer's limit."))


def _sum(log_probs: Tensor, ids: Tensor) -> Likelihood:
    return Likelihood(float(log_probs.gather(1, ids[:, None]).double().sum()), len(ids))
