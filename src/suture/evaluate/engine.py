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
from suture.evaluate import flat
from suture.evaluate.packing import Request, pack
from suture.evaluate.prefill import Start, by_length, forward, prefill_all, select, shared_start
from suture.evaluate.roomy import with_room

if TYPE_CHECKING:
    from torch import Tensor

R = TypeVar("R")
Advance = Callable[[int], None]
Examples = Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Generation:
    """One greedy answer: its text without special tokens, its tokens (the stop token counts), why it ended, seconds.

    truncated says that the start of its prompt was cut off, so that prompt and answer fit the model's context.
    """

    text: str
    tokens: int
    finish_reason: Literal["stop", "length"]
    seconds: float
    truncated: bool = False


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
        self._flat: bool | None = None  # whether it can be decoded without padding: tried out at the first answer
        self.context = int(getattr(model.config, "max_position_embeddings", None) or 2**31)

    def chat(self, text: str, examples: Examples = ()) -> str:
        """Return `text` as a user turn in the model's chat template, up to where the answer begins.

        examples: pairs (user turn, answer) that stand before it.
        """
        return apply_chat(self.tokenizer, text, examples)

    def encode(self, text: str) -> list[int]:
        """Return the token ids of `text`, no special token added; the token that starts a text where it is empty."""
        ids = list(self.tokenizer(text, add_special_tokens=False)["input_ids"])
        if ids:
            return ids
        start = self.tokenizer.bos_token_id
        return [self.tokenizer.eos_token_id if start is None else start]

    def encode_whole(self, text: str) -> list[int]:
        """Return the token ids of `text` with the special tokens that the tokenizer adds, unless it begins with them.

        As lm-evaluation-harness does (HFLM.tok_encode).
        """
        start = self.tokenizer.bos_token
        if start and text.startswith(start):
            return self.encode(text)
        return list(self.tokenizer(text)["input_ids"]) or self.encode("")

    def generate(
        self,
        prompts: Sequence[str],
        *,
        max_new_tokens: int,
        batch_size: int,
        truncate: bool = False,
        advance: Advance = lambda _: None,
    ) -> list[Generation]:
        """Answer each finished prompt text greedily, until a stop token or `max_new_tokens`.

        Penalties and samplers of the model's own generation config are not applied. With `truncate`, prompts are read
        as lm-evaluation-harness reads them: special tokens added, the start cut off where the context is too short; a
        model whose context is hardly longer than `max_new_tokens` gives half of it to the prompt.
        Without, raises BadInputError where a prompt and its answer exceed the model's context.
        """
        ids = [self.encode_whole(prompt) if truncate else self.encode(prompt) for prompt in prompts]
        room = max(self.context - max_new_tokens, self.context // 2) if truncate else self.context
        cut = [len(row) > room for row in ids]
        if truncate:
            ids = [row[-room:] for row in ids]
            max_new_tokens = min(max_new_tokens, self.context - room)
        order = sorted(range(len(ids)), key=lambda i: -len(ids[i]))
        answers: dict[int, Generation] = {}
        for start in range(0, len(order), batch_size):
            chosen = order[start : start + batch_size]
            began = time.perf_counter()
            rows = self.answer_ids([ids[i] for i in chosen], max_new_tokens)
            seconds = (time.perf_counter() - began) / len(chosen)
            texts = self.tokenizer.batch_decode(rows, skip_special_tokens=True)
            for i, row, text in zip(chosen, rows, texts, strict=True):
                reason: Literal["stop", "length"] = "stop" if row[-1] in self.stop else "length"
                answers[i] = Generation(text, len(row), reason, seconds, truncate and cut[i])
            advance(len(chosen))
        return [answers[i] for i in range(len(ids))]

    def answer_ids(self, prompts: Sequence[Sequence[int]], max_new_tokens: int) -> list[list[int]]:
        """Answer one batch of prompts, all token ids; an answer includes its stop token."""
        import torch

        self._check_context([len(prompt) + max_new_tokens for prompt in prompts])
        with torch.inference_mode():
            if self._flat is None:
                self._flat = flat.fits(self.model)
            if self._flat:
                return flat.decode(self.model, prompts, max_new_tokens, self.stop)
            return self._decode(prompts, max_new_tokens)

    def loglikelihood(
        self, requests: Sequence[tuple[str, Sequence[str]]], *, advance: Advance = lambda _: None
    ) -> list[list[Likelihood]]:
        """Return log p of each continuation text after its prefix text; a stop token is not scored.

        Prefix and continuation are tokenised apart: the boundary is where a generated answer would begin.
        """
        encoded = [Request(self.encode(prefix), [self.encode(text) for text in texts]) for prefix, texts in requests]
        return self.read(encoded, _sum, advance=advance)

    def pairs(
        self, requests: Sequence[tuple[str, Sequence[str]]], *, advance: Advance = lambda _: None
    ) -> list[list[Likelihood]]:
        """Return log p of each continuation text after its context text, tokenised as lm-evaluation-harness does.

        Context and continuation are tokenised as one text, spaces at the context's end count to the continuation
        (lm_eval.api.model, _encode_pair), and the start of what exceeds the model's context is cut off.
        """
        return self.read([self._pair(context, texts) for context, texts in requests], _sum, advance=advance)

    def _pair(self, context: str, continuations: Sequence[str]) -> Request:
        bare = context.rstrip()
        spaces = context[len(bare) :]
        prefix = self.encode_whole(bare)
        ids = [self.encode_whole(bare + spaces + text)[len(prefix) :] for text in continuations]
        room = self.context + 1 - max(map(len, ids))
        return Request(prefix[-room:], ids)

    def read(
        self, requests: Sequence[Request], reduce: Callable[[Tensor, Tensor], R], *, advance: Advance = lambda _: None
    ) -> list[list[R]]:
        """Return `reduce(log_probs, ids)` of every continuation of every request.

        log_probs is float32 [tokens, vocabulary]: row t is the distribution before token t; ids is int64 [tokens].
        """
        import torch

        if not requests:
            return []
        self._check_context([request.context - 1 for request in requests])  # the last token is only predicted
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
        cache = with_room(cache)
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


def apply_chat(tokenizer: Any, text: str, examples: Examples = ()) -> str:
    """Return `text` as a user turn in the tokenizer's chat template, up to where the answer begins.

    examples: pairs (user turn, answer) that stand before it, as turns of the same conversation. A tokenizer without a
    template gets the texts, a line break after each user turn and an empty line after each answer.
    """
    if not tokenizer.chat_template:
        return "".join(f"{asked}\n{answer}\n\n" for asked, answer in examples) + text + "\n"
    shown = [turn for asked, answer in examples for turn in (("user", asked), ("assistant", answer))]
    turns = [*shown, ("user", text)]
    messages = [{"role": role, "content": content} for role, content in turns]
    return str(tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True))


def _sum(log_probs: Tensor, ids: Tensor) -> Likelihood:
    return Likelihood(float(log_probs.gather(1, ids[:, None]).double().sum()), len(ids))
