"""A loaded model that answers: greedy generation and log-likelihood, batched so that shared text is computed once.

Three savings, none of which changes what is computed: a start that all prompts share (a system prompt) is run once; the
key-value cache of a prompt serves all its continuations; prompts of like length are run together, so little is padded.
Padding stands left of prompts and right of continuations and is masked; positions count real tokens only.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from copy import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from suture.errors import BadInputError, Problem

if TYPE_CHECKING:
    from torch import Tensor

R = TypeVar("R")
Advance = Callable[[int], None]
PREFILL_TOKENS = 1024  # tokens a forward pass: enough to keep a core's matrix products at full speed


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


@dataclass(frozen=True, slots=True)
class Request:
    """A prefix and the continuations to be read after it, as token ids; none of them empty."""

    prefix: Sequence[int]
    continuations: Sequence[Sequence[int]]


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
        self._check_context([len(r.prefix) + max(map(len, r.continuations)) for r in requests])
        results: list[list[R]] = [[] for _ in requests]
        with torch.inference_mode():
            shared = self._shared([request.prefix for request in requests])
            for chunk in _by_length([len(request.prefix) for request in requests], PREFILL_TOKENS):
                self._read_chunk([requests[i] for i in chunk], shared, reduce, [results[i] for i in chunk])
                advance(len(chunk))
        return results

    def _read_chunk(
        self, requests: Sequence[Request], shared: _Shared, reduce: Callable[[Tensor, Tensor], R], into: list[list[R]]
    ) -> None:
        """Prefill the prefixes together, then read their continuations, those of like length together."""
        import torch

        cache, mask, first = self._prefill([request.prefix for request in requests], shared)
        flat = [(row, ids) for row, request in enumerate(requests) for ids in request.continuations]
        found: dict[int, R] = {}
        for chunk in _by_length([len(ids) for _, ids in flat], PREFILL_TOKENS):
            rows = torch.tensor([flat[i][0] for i in chunk], device=mask.device)
            logits = [first[rows]]
            width = max(len(flat[i][1]) for i in chunk) - 1
            if width:
                ids = torch.zeros(len(chunk), width, dtype=torch.long, device=mask.device)
                real = torch.zeros_like(ids)
                for k, i in enumerate(chunk):
                    inputs = flat[i][1][:-1]
                    ids[k, : len(inputs)] = torch.tensor(inputs, dtype=torch.long)
                    real[k, : len(inputs)] = 1
                branch = _select(cache, rows)
                logits.append(self._forward(ids, torch.cat([mask[rows], real], dim=1), branch, keep=width))
            log_probs = torch.cat(logits, dim=1).float().log_softmax(dim=-1)
            for k, i in enumerate(chunk):
                target = torch.tensor(flat[i][1], dtype=torch.long, device=mask.device)
                found[i] = reduce(log_probs[k, : len(target)], target)
        for i, (row, _) in enumerate(flat):
            into[row].append(found[i])

    def _decode(self, prompts: Sequence[Sequence[int]], limit: int) -> list[list[int]]:
        """Greedy answers with their stop tokens; a row that has stopped leaves the batch."""
        import torch

        cache, mask, logits = self._prefill_all(prompts)
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
            logits = self._forward(chosen[:, None], mask, cache)

    def _prefill_all(self, prompts: Sequence[Sequence[int]]) -> tuple[Any, Tensor, Tensor]:
        """Prefill prompts of any lengths, like with like; join the caches, padded on the left, in the given order."""
        import torch
        from torch.nn.functional import pad

        shared = self._shared(prompts)
        chunks = list(_by_length([len(prompt) for prompt in prompts], PREFILL_TOKENS))
        parts = [self._prefill([prompts[i] for i in chunk], shared) for chunk in chunks]
        joined, _, _ = parts[-1]  # chunks grow in length, so the last is the widest
        width = max(mask.shape[1] for _, mask, _ in parts)
        back = torch.tensor([i for chunk in chunks for i in chunk]).argsort().to(self.model.device)
        for depth, layer in enumerate(joined.layers):
            for name in ("keys", "values"):
                pieces = [getattr(cache.layers[depth], name) for cache, _, _ in parts]
                pieces = [pad(piece, (0, 0, width - piece.shape[2], 0)) for piece in pieces]
                setattr(layer, name, torch.cat(pieces)[back])
        masks = torch.cat([pad(mask, (width - mask.shape[1], 0)) for _, mask, _ in parts])
        return joined, masks[back], torch.cat([logits for _, _, logits in parts])[back]

    def _prefill(self, prompts: Sequence[Sequence[int]], shared: _Shared) -> tuple[Any, Tensor, Tensor]:
        """Return the cache, the mask [rows, width] and the last logits [rows, 1, vocabulary] of left-padded prompts."""
        import torch

        rows = len(prompts)
        width = max(map(len, prompts)) - shared.length
        ids = torch.zeros(rows, width, dtype=torch.long, device=self.model.device)
        mask = torch.ones(rows, shared.length + width, dtype=torch.long, device=self.model.device)
        for row, prompt in enumerate(prompts):
            rest = torch.tensor(prompt[shared.length :], dtype=torch.long)
            ids[row, width - len(rest) :] = rest
            mask[row, shared.length : shared.length + width - len(rest)] = 0
        cache = _select(shared.cache, torch.zeros(rows, dtype=torch.long, device=self.model.device))
        return cache, mask, self._forward(ids, mask, cache)

    def _shared(self, prompts: Sequence[Sequence[int]]) -> _Shared:
        """Run the longest start that all prompts have in common, short of the last token of any."""
        import torch
        from transformers import DynamicCache

        least, most = min(map(tuple, prompts)), max(map(tuple, prompts))
        limit = min(map(len, prompts)) - 1
        length = next((k for k in range(limit) if least[k] != most[k]), limit)
        cache = DynamicCache(config=self.model.config)
        if length:
            ids = torch.tensor([least[:length]], dtype=torch.long, device=self.model.device)
            self._forward(ids, torch.ones_like(ids), cache)
        return _Shared(cache, length)

    def _forward(self, ids: Tensor, mask: Tensor, cache: Any, keep: int = 1) -> Tensor:
        """Logits [rows, keep, vocabulary] of the last `keep` positions; the cache grows by `ids`."""
        positions = (mask.cumsum(dim=-1) - 1).clamp(min=0)[:, -ids.shape[1] :]
        output = self.model(
            input_ids=ids,
            attention_mask=mask,
            position_ids=positions,
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=keep,
        )
        logits: Tensor = output.logits
        return logits

    def _check_context(self, lengths: Sequence[int]) -> None:
        if max(lengths, default=0) > self.context:
            must = f"A prompt and its answer must fit the model's context of {self.context} tokens."
            raise BadInputError(Problem(must, f"{max(lengths)} tokens", do="Shorten the input or the answer's limit."))


@dataclass(frozen=True, slots=True)
class _Shared:
    """The cache of the first `length` tokens, which all prompts have in common, batch of one."""

    cache: Any
    length: int


def _sum(log_probs: Tensor, ids: Tensor) -> Likelihood:
    return Likelihood(float(log_probs.gather(1, ids[:, None]).double().sum()), len(ids))


def _select(cache: Any, rows: Tensor) -> Any:
    """A new cache whose row k is row rows[k] of `cache`; caches grow by new tensors, so `cache` stays as it is."""
    branch = copy(cache)
    branch.layers = [copy(layer) for layer in cache.layers]
    branch.batch_select_indices(rows)
    return branch


def _by_length(lengths: Sequence[int], budget: int) -> Iterator[list[int]]:
    """Yield indices, short before long, in chunks of at most `budget` tokens when padded (or of one)."""
    chunk: list[int] = []
    for i in sorted(range(len(lengths)), key=lambda k: lengths[k]):
        if chunk and lengths[i] * (len(chunk) + 1) > budget:
            yield chunk
            chunk = []
        chunk.append(i)
    if chunk:
        yield chunk
