"""Greedy decoding of many rows as one sequence without padding, each row with a draft of its own length.

The new tokens of all rows stand beside one another in one pass [1, tokens]; all layers but attention see tokens only,
and attention is computed row by row, over what the row has and no more. So rows may go on at different paces, and a
draft (`suture.evaluate.drafts`) is read in little more than the time that fetching the weights takes anyway. What is
computed of each row is what it is alone, up to rounding.

For processors; a graphics card would be slowed down by many small operations. A model must attend to all that stands
before a token, through transformers' attention interface; `fits` tries it out against an ordinary pass.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Event
from typing import TYPE_CHECKING, Any

from suture.evaluate.drafts import Draft
from suture.evaluate.prefill import not_a_number, prefill_all

if TYPE_CHECKING:
    from torch import Tensor

NAME = "suture_flat"
ROWS = 4  # rows a group at least: each group fetches the weights for itself
PASS_TOKENS = 128  # new tokens a pass: beyond, a token takes as long as one that is written alone
STEP = 128  # tokens of room that are added to the cache at a time
OTHER_ATTENTION = ("softcap", "position_bias", "s_aux", "sliding_window")  # terms that are not computed here


class UnlikeError(Exception):
    """The model's attention has a term that is not computed here."""


@dataclass(frozen=True, slots=True)
class Piece:
    """The new tokens begin..end of the pass belong to `row`, which then has `length` tokens; mask where they are many.

    mask is additive, [new tokens, length].
    """

    row: int
    begin: int
    end: int
    length: int
    mask: Tensor | None

    def mask_of(self, groups: int, masks: dict[int, Tensor]) -> Tensor | None:
        """Return the mask for `groups` query heads beside one another, made once a pass and kept in `masks`."""
        if self.mask is None:
            return None
        if self.row not in masks:
            masks[self.row] = self.mask.repeat(groups, 1)
        return masks[self.row]


class FlatCache:
    """Keys and values of every row from its first token on; the interface of transformers' Cache that decoders use."""

    is_compileable = False

    def __init__(self, cache: Any, mask: Tensor) -> None:
        """Take over a cache of padded rows; mask [rows, width] is 1 where a row has a token."""
        self.lengths: list[int] = mask.sum(dim=1).tolist()
        self.pieces: list[Piece] = []
        self.masks: dict[int, Tensor] = {}
        self.stores = []
        real = mask.bool()
        for layer in cache.layers:
            self.stores.append([_unpadded(states, real) for states in (layer.keys, layer.values)])
            layer.keys = layer.values = None  # one layer at a time stands in memory twice
        self.layers = cache.layers

    def place(self, counts: Sequence[tuple[int, int]], like: Tensor) -> Tensor:
        """Make room for (row, new tokens) and return their positions [1, tokens]; the pass that follows fills it."""
        import torch

        self.pieces, self.masks, begin = [], {}, 0
        for row, count in counts:
            length = self.lengths[row] + count
            mask = _causal(count, length, like) if count > 1 else None
            self.pieces.append(Piece(row, begin, begin + count, length, mask))
            begin += count
        longest = max(piece.length for piece in self.pieces)
        if longest > self.stores[0][0].shape[2]:
            for pair in self.stores:  # one by one: together they would stand in memory twice
                pair[:] = [_longer(store, longest + STEP) for store in pair]
        rows = [piece.row for piece in self.pieces for _ in range(piece.begin, piece.end)]
        slots = [k for piece in self.pieces for k in range(self.lengths[piece.row], piece.length)]
        self._rows, self._slots = (torch.tensor(list_, device=like.device) for list_ in (rows, slots))
        return self._slots[None]

    def keep(self, row: int, count: int) -> None:
        """Count the first `count` new tokens of `row`; what stands behind them is written over."""
        self.lengths[row] += count

    def update(self, keys: Tensor, values: Tensor, layer_idx: int, *_: Any, **__: Any) -> tuple[Tensor, Tensor]:
        """Write keys and values [1, heads, tokens, dimension] of the pass, and return all rows'."""
        pair = self.stores[layer_idx]
        for store, states in zip(pair, (keys, values), strict=True):
            store[self._rows, :, self._slots] = states[0].transpose(0, 1)
        return pair[0], pair[1]

    def get_seq_length(self, layer_idx: int = 0) -> int:
        """Return the longest row's length: positions are given, so nothing is counted from it."""
        return max(self.lengths)


State = tuple[FlatCache, list[Draft], list[list[int]]]  # of a group of rows: its cache, drafts and answers


def decode(model: Any, prompts: Sequence[Sequence[int]], limit: int, stop: Collection[int]) -> list[list[int]]:
    """Answer prompts, token ids, greedily with at most `limit` tokens each; an answer includes its stop token.

    Groups of rows are answered side by side, each by its share of the cores. Call with gradients off. Raises
    NumericError where a logit is NaN.
    """
    import torch

    cores = torch.get_num_threads()
    groups = min(cores, max(1, len(prompts) // ROWS)) if at_once(model) else 1
    shares = [range(first, len(prompts), groups) for first in range(groups)]
    halted = Event()

    def begin(share: range) -> State:
        with torch.inference_mode():  # holds for one thread
            return _start(model, [prompts[row] for row in share])

    def run(state: State) -> list[list[int]]:
        with torch.inference_mode():
            return _go_on(model, state, limit, stop, halted)

    answers: list[list[int]] = [[] for _ in prompts]
    with _threads(cores // groups), ThreadPoolExecutor(groups) as pool:
        started = list(pool.map(begin, shares))
        with attention(model):  # all have read their prompts by the model's own attention
            tasks = [pool.submit(run, state) for state in started]
            try:
                for share, task in zip(shares, tasks, strict=True):
                    for row, answer in zip(share, task.result(), strict=True):
                        answers[row] = answer
            finally:
                halted.set()  # an error or an interrupt ends the other groups too, before attention is set back
                wait(tasks)
    return answers


def at_once(model: Any) -> bool:
    """Return whether passes may run at the same time: not where one sets what another reads (rotations by length)."""
    rope = getattr(model.config.get_text_config(), "rope_parameters", None) or {}
    return rope.get("rope_type", "default") in ("default", "linear", "llama3", "yarn")


def _start(model: Any, prompts: Sequence[Sequence[int]]) -> State:
    state, mask, logits = prefill_all(model, prompts)
    drafts = [Draft(prompt) for prompt in prompts]
    answers = [[token] for token in logits[:, -1].argmax(dim=-1).tolist()]
    for draft, answer in zip(drafts, answers, strict=True):
        draft.extend(answer, 0)
    return FlatCache(state, mask), drafts, answers


def _go_on(
    model: Any,
    state: State,
    limit: int,
    stop: Collection[int],
    halted: Event,
) -> list[list[int]]:
    cache, drafts, answers = state
    while running := [row for row, ids in enumerate(answers) if ids[-1] not in stop and len(ids) < limit]:
        if halted.is_set():
            break
        room = max(0, PASS_TOKENS // len(running) - 1)
        proposed = {row: drafts[row].propose(min(room, limit - len(answers[row]) - 1)) for row in running}
        chosen = step(model, cache, {row: [answers[row][-1], *proposed[row]] for row in running})
        for row in running:
            right = _right(proposed[row], chosen[row], stop)
            cache.keep(row, len(right))
            answers[row] += right
            drafts[row].extend(right, len(proposed[row]))
    return answers


@contextmanager
def _threads(count: int) -> Iterator[None]:
    """Let each thread that begins in the block compute on `count` cores."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def step(model: Any, cache: FlatCache, new: dict[int, list[int]]) -> dict[int, list[int]]:
    """Read the new tokens of some rows in one pass, and return the most likely token after each of them."""
    logits = read(model, cache, new)
    best, tokens = logits.max(dim=-1)  # NaN counts as the largest
    if bool(best.isnan().any()):
        raise not_a_number()
    chosen = tokens.tolist()
    return {piece.row: chosen[piece.begin : piece.end] for piece in cache.pieces}


def read(model: Any, cache: FlatCache, new: dict[int, list[int]]) -> Tensor:
    """Logits [tokens, vocabulary] after each new token, row beside row."""
    import torch

    ids = torch.tensor([[token for tokens in new.values() for token in tokens]], device=model.device)
    like = cache.stores[0][0]
    positions = cache.place([(row, len(tokens)) for row, tokens in new.items()], like)
    output = model(input_ids=ids, position_ids=positions, past_key_values=cache, use_cache=True, suture_cache=cache)
    logits: Tensor = output.logits[0]
    return logits


def fits(model: Any) -> bool:
    """Return whether rows can be decoded so: on a processor, and an ordinary pass gives the same logits."""
    import torch

    config = model.config.get_text_config()
    backend = getattr(model, "_supports_attention_backend", False) and config._attn_implementation == "sdpa"
    if model.device.type != "cpu" or not backend:
        return False
    prompts = [[k % config.vocab_size for k in range(1, 8)], [3 % config.vocab_size, 2]]
    new = {0: [5, 6, 7], 1: [4]}
    with torch.inference_mode():
        state, mask, _ = prefill_all(model, prompts)
        if not all(plain_layer(layer) for layer in state.layers):
            return False
        try:
            with attention(model):
                found = read(model, FlatCache(state, mask), new)
        except (UnlikeError, TypeError):
            return False
        wanted = torch.cat(
            [
                model(input_ids=torch.tensor([prompt + new[row]]), use_cache=False).logits[0, len(prompt) :]
                for row, prompt in enumerate(prompts)
            ]
        )
    tolerance = torch.finfo(wanted.dtype).eps ** 0.5 * float(wanted.abs().max())
    return bool((found - wanted).abs().max() <= tolerance)


def plain_layer(layer: Any) -> bool:
    """Return whether a layer of transformers' cache keeps all tokens, and nothing else."""
    from transformers.cache_utils import DynamicLayer

    return type(layer) is DynamicLayer and layer.is_initialized


@contextmanager
def attention(model: Any) -> Iterator[None]:
    """Let the model attend row by row while the block runs."""
    from transformers import AttentionInterface

    AttentionInterface.register(NAME, _attend)
    config = model.config.get_text_config()
    before = config._attn_implementation
    config._attn_implementation = NAME
    try:
        yield
    finally:
        config._attn_implementation = before


def _attend(
    module: Any,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Any,
    scaling: float | None = None,
    suture_cache: FlatCache | None = None,
    **others: Any,
) -> tuple[Tensor, None]:
    """Attention of queries [1, heads, tokens, dimension] over all rows' keys, as transformers' functions: [1, t, h, d].

    The query heads that share a key head stand beside one another as queries of it, so keys are not repeated.
    """
    from torch.nn.functional import scaled_dot_product_attention

    if suture_cache is None or any(others.get(name) is not None for name in OTHER_ATTENTION):
        raise UnlikeError
    _, heads, tokens, width = query.shape
    groups = heads // key.shape[1]
    found = query.new_empty(tokens, heads, value.shape[3])
    for piece in suture_cache.pieces:
        count = piece.end - piece.begin
        queries = query[:, :, piece.begin : piece.end].reshape(1, -1, groups * count, width)
        own = slice(piece.row, piece.row + 1), slice(None), slice(piece.length)
        mask = piece.mask_of(groups, suture_cache.masks)
        result = scaled_dot_product_attention(queries, key[own], value[own], attn_mask=mask, scale=scaling)
        found[piece.begin : piece.end] = result.reshape(heads, count, -1).transpose(0, 1)
    return found[None], None


def _right(proposed: Sequence[int], chosen: Sequence[int], stop: Collection[int]) -> list[int]:
    """What the model writes: its own choices up to the first that is not the draft's, or that ends the answer."""
    kept = []
    for k, token in enumerate(chosen):
        kept.append(token)
        if token in stop or k == len(proposed) or token != proposed[k]:
            break
    return kept


def _causal(count: int, length: int, like: Tensor) -> Tensor:
    import torch

    sees = torch.ones(count, length, dtype=torch.bool, device=like.device).tril(length - count)
    return torch.zeros(count, length, dtype=like.dtype, device=like.device).masked_fill(~sees, float("-inf"))


def _unpadded(states: Tensor, real: Tensor) -> Tensor:
    store = states.new_zeros(*states.shape[:2], states.shape[2] + STEP, states.shape[3])
    for row, tokens in enumerate(real):
        own = states[row][:, tokens]
        store[row, :, : own.shape[1]] = own
    return store


def _longer(store: Tensor, length: int) -> Tensor:
    longer = store.new_zeros(*store.shape[:2], length, store.shape[3])
    longer[:, :, : store.shape[2]] = store
    return longer
