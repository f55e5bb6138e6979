"""Runs prompts through a model: a shared start once, like lengths together; padding left, masked, and not counted.

A state of prompts is (cache, mask, logits): the key-value cache, the mask [rows, width] that is 1 on real tokens, the
last position's logits [rows, 1, vocabulary].
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from copy import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from suture.errors import NumericError, Problem

if TYPE_CHECKING:
    from torch import Tensor

Prompts = Sequence[Sequence[int]]
PASS_TOKENS = 1024  # padded tokens a forward pass: enough to keep a core's matrix products at full speed


@dataclass(frozen=True, slots=True)
class Start:
    """The cache of the first `length` tokens, which all prompts have in common, batch of one."""

    cache: Any
    length: int


def forward(
    model: Any, ids: Tensor, mask: Tensor, cache: Any, *, positions: Tensor | None = None, keep: int = 1
) -> Tensor:
    """Logits [rows, keep, vocabulary] of the last `keep` positions; the cache grows by `ids` [rows, new].

    Without `positions`, `mask` is [rows, width] and they count its ones. Raises NumericError where a logit is NaN.
    """
    if positions is None:
        positions = (mask.cumsum(dim=-1) - 1).clamp(min=0)[:, -ids.shape[1] :]
    output = model(
        input_ids=ids,
        attention_mask=mask,
        position_ids=positions,
        past_key_values=cache,
        use_cache=True,
        logits_to_keep=keep,
    )
    logits: Tensor = output.logits
    if bool(logits[:, -1].isnan().any()):
        raise not_a_number()
    return logits


def not_a_number() -> NumericError:
    """Return the error of a model whose outputs are not numbers."""
    return NumericError(Problem("A model's outputs must be numbers.", "NaN", do="Check how its weights were made."))


def shared_start(model: Any, prompts: Prompts) -> Start:
    """Run the longest start that all prompts have in common, short of the last token of any."""
    import torch
    from transformers import DynamicCache

    least, most = min(map(tuple, prompts)), max(map(tuple, prompts))
    limit = min(map(len, prompts)) - 1
    length = next((k for k in range(limit) if least[k] != most[k]), limit)
    cache = DynamicCache(config=model.config)
    if length:
        ids = torch.tensor([least[:length]], dtype=torch.long, device=model.device)
        forward(model, ids, torch.ones_like(ids), cache)
    return Start(cache, length)


def prefill(model: Any, prompts: Prompts, start: Start) -> tuple[Any, Tensor, Tensor]:
    """Run prompts in one pass after their common start; return their state."""
    import torch

    width = max(map(len, prompts)) - start.length
    ids = torch.zeros(len(prompts), width, dtype=torch.long, device=model.device)
    mask = torch.ones(len(prompts), start.length + width, dtype=torch.long, device=model.device)
    for row, prompt in enumerate(prompts):
        rest = torch.tensor(prompt[start.length :], dtype=torch.long)
        ids[row, width - len(rest) :] = rest
        mask[row, start.length : start.length + width - len(rest)] = 0
    cache = select(start.cache, torch.zeros(len(prompts), dtype=torch.long, device=model.device))
    return cache, mask, forward(model, ids, mask, cache)


def prefill_all(model: Any, prompts: Prompts) -> tuple[Any, Tensor, Tensor]:
    """Run prompts of any lengths, like with like, and return their joint state, in the given order."""
    import torch
    from torch.nn.functional import pad

    start = shared_start(model, prompts)
    if any(start.cache.is_sliding):  # such a cache forgets; it cannot be joined
        return prefill(model, prompts, start)
    chunks = list(by_length([len(prompt) for prompt in prompts]))
    parts = [prefill(model, [prompts[i] for i in chunk], start) for chunk in chunks]
    joined, widest, _ = parts[-1]  # chunks grow in length
    width = widest.shape[1]
    back = torch.tensor([i for chunk in chunks for i in chunk]).argsort().to(model.device)
    for depth, layer in enumerate(joined.layers):
        for name in ("keys", "values"):
            pieces = [getattr(cache.layers[depth], name) for cache, _, _ in parts]
            pieces = [pad(piece, (0, 0, width - piece.shape[2], 0)) for piece in pieces]
            setattr(layer, name, torch.cat(pieces)[back])
    masks = torch.cat([pad(mask, (width - mask.shape[1], 0)) for _, mask, _ in parts])
    return joined, masks[back], torch.cat([logits for _, _, logits in parts])[back]


def select(cache: Any, rows: Tensor) -> Any:
    """A new cache whose row k is row rows[k] of `cache`; caches grow by new tensors, so `cache` stays as it is."""
    branch = copy(cache)
    branch.layers = [copy(layer) for layer in cache.layers]
    branch.batch_select_indices(rows)
    return branch


def by_length(lengths: Sequence[int]) -> Iterator[list[int]]:
    """Yield indices, short before long, in chunks of at most PASS_TOKENS tokens when padded (or of one)."""
    chunk: list[int] = []
    for i in sorted(range(len(lengths)), key=lambda k: lengths[k]):
        if chunk and lengths[i] * (len(chunk) + 1) > PASS_TOKENS:
            yield chunk
            chunk = []
        chunk.append(i)
    if chunk:
        yield chunk
