"""Decoding without padding writes what each row writes alone, whatever is proposed, on models that fit it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import (
    Gemma2Config,
    Gemma2ForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
)

from suture.checkpoint.load import load_model
from suture.errors import NumericError
from suture.evaluate import flat
from suture.evaluate.drafts import Draft
from suture.testing.tiny import tiny_model

SHAPE: dict[str, Any] = {
    "vocab_size": 64,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
}
PROMPTS = [[5, 6, 7, 8, 9, 5, 6, 7], [11], [3, 4, 3, 4, 3, 4], [5, 6, 7, 1]]


def made(config: type, model: type, **settings: Any) -> Any:
    torch.manual_seed(1)
    with torch.no_grad():
        return model(config(**{**SHAPE, **settings})).eval()


def alone(model: Any, prompt: list[int], limit: int) -> list[int]:
    """Greedy, by one whole forward pass a token."""
    ids = list(prompt)
    for _ in range(limit):
        ids.append(int(model(input_ids=torch.tensor([ids]), use_cache=False).logits[0, -1].argmax()))
    return ids[len(prompt) :]


@pytest.fixture(scope="module")
def llama() -> Any:
    return made(LlamaConfig, LlamaForCausalLM)


def test_answers_are_those_of_whole_passes(llama: Any) -> None:
    with torch.inference_mode():
        expected = [alone(llama, prompt, 200) for prompt in PROMPTS]
        assert flat.decode(llama, PROMPTS, 200, frozenset()) == expected
        assert any(row[-40:-20] == row[-20:] or len(set(row)) < 60 for row in expected)  # so drafts were made


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_drafts_right_or_wrong_change_no_answer(llama: Any, monkeypatch: pytest.MonkeyPatch, share: float) -> None:
    with torch.inference_mode():
        expected = [alone(llama, prompt, 40) for prompt in PROMPTS]
        whole = [prompt + answer for prompt, answer in zip(PROMPTS, expected, strict=True)]
        generator = torch.Generator().manual_seed(0)

        def propose(self: Draft, most: int) -> list[int]:
            text = next(row for row in whole if row[: len(self.ids)] == self.ids)
            right = text[len(self.ids) : len(self.ids) + min(most, 5)]
            lies = torch.rand(len(right), generator=generator) >= share
            return [(token + 1) % 64 if lie else token for token, lie in zip(right, lies, strict=True)]

        monkeypatch.setattr(Draft, "propose", propose)
        passes = []
        step = flat.step
        monkeypatch.setattr(flat, "step", lambda *args: passes.append(1) or step(*args))
        assert flat.decode(llama, PROMPTS, 40, frozenset()) == expected
        assert len(passes) == 39 if share == 0.0 else len(passes) < 39
        assert share < 1.0 or len(passes) == 7  # 39 tokens after the first, six a pass


def test_a_stop_token_within_a_draft_ends_the_answer(llama: Any) -> None:
    with torch.inference_mode():
        expected = [alone(llama, prompt, 60) for prompt in PROMPTS]
        stop = expected[0][50]
        cut = [row[: row.index(stop) + 1] if stop in row else row for row in expected]
        assert flat.decode(llama, PROMPTS, 60, frozenset({stop})) == cut


def test_groups_side_by_side_give_the_same_answers(llama: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    monkeypatch.setattr(torch, "set_num_threads", lambda count: None)
    monkeypatch.setattr(flat, "ROWS", 2)
    groups = []
    go_on = flat._go_on
    monkeypatch.setattr(flat, "_go_on", lambda *args: groups.append(len(args[1][1])) or go_on(*args))
    prompts = [*PROMPTS, [9, 9, 8]]
    with torch.inference_mode():
        assert flat.decode(llama, prompts, 30, frozenset()) == [alone(llama, prompt, 30) for prompt in prompts]
    assert sorted(groups) == [2, 3]


def test_an_error_in_one_group_ends_all(llama: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    monkeypatch.setattr(torch, "set_num_threads", lambda count: None)
    monkeypatch.setattr(flat, "ROWS", 2)
    step = flat.step

    def failing(model: Any, cache: Any, new: dict[int, list[int]]) -> dict[int, list[int]]:
        if cache.lengths[0] > 12:
            raise flat.not_a_number()
        return step(model, cache, new)

    monkeypatch.setattr(flat, "step", failing)
    with torch.inference_mode(), pytest.raises(NumericError):
        flat.decode(llama, PROMPTS, 10**6, frozenset())
    assert llama.config._attn_implementation == "sdpa"


@pytest.mark.parametrize("limit", [1, 2, 3])
def test_the_limit_is_kept(llama: Any, limit: int) -> None:
    with torch.inference_mode():
        assert [len(row) for row in flat.decode(llama, PROMPTS, limit, frozenset())] == [limit] * 4


def test_what_fits_and_what_does_not(llama: Any) -> None:
    assert flat.fits(llama)
    assert flat.fits(llama.to(torch.bfloat16))
    llama.to(torch.float32)
    assert flat.fits(made(Qwen3Config, Qwen3ForCausalLM))
    assert not flat.fits(made(MistralConfig, MistralForCausalLM, sliding_window=4))
    assert not flat.fits(made(Gemma2Config, Gemma2ForCausalLM, sliding_window=4))
    llama.set_attn_implementation("eager")
    assert not flat.fits(llama)
    llama.set_attn_implementation("sdpa")


def test_an_attention_of_another_kind_is_found_out(llama: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    before = llama.config._attn_implementation
    monkeypatch.setattr(flat, "_causal", lambda count, length, like: torch.zeros(count, length))  # sees the future
    assert not flat.fits(llama)
    assert llama.config._attn_implementation == before


def test_nan_is_an_error(tmp_path: Path) -> None:
    model, _ = load_model(tiny_model(tmp_path / "tiny"))
    with torch.inference_mode():
        state, mask, _ = flat.prefill_all(model, [[5, 6, 7]])
        model.model.norm.weight.fill_(float("nan"))
        with pytest.raises(NumericError, match="Got NaN"), flat.attention(model):
            flat.step(model, flat.FlatCache(state, mask), {0: [4]})
