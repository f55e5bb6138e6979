"""The engine's savings change nothing: it equals plain full forward passes and transformers' own greedy generation."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from transformers import MistralConfig, MistralForCausalLM

from suture.checkpoint.load import load_model
from suture.errors import BadInputError, IncompatibleError, NumericError
from suture.evaluate.engine import Engine, Generation, apply_chat
from suture.evaluate.packing import Request
from suture.testing.tiny import tiny_model

TEXTS = (
    "Cough.",
    "The patient reports a cough and takes amoxicillin 500 mg twice daily, without fever or chest pain.",
    "Write one sentence in capital letters.",
    "Findings: the lungs are clear. " * 6,
    "Left knee swelling; follow up in 2 weeks.",
)


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    path: Path = tiny_model(tmp_path_factory.mktemp("models") / "tiny", seed=3)
    model, tokenizer = load_model(path)
    with torch.no_grad():  # a random model of this size answers all prompts alike: sharpen it
        for parameter in model.parameters():
            parameter.mul_(4.0)
    return Engine(model, tokenizer)


def plain(engine: Engine, prefix: list[int], continuation: list[int]) -> torch.Tensor:
    with torch.inference_mode():
        logits = engine.model(input_ids=torch.tensor([prefix + continuation])).logits[0]
    return logits[len(prefix) - 1 : -1].log_softmax(-1)


def test_likelihood_of_many_continuations_equals_the_plain_forward(engine: Engine) -> None:
    requests = [(engine.chat(text), TEXTS[: 1 + k]) for k, text in enumerate(TEXTS)]
    found = engine.loglikelihood(requests)
    for (prefix, continuations), likelihoods in zip(requests, found, strict=True):
        for text, likelihood in zip(continuations, likelihoods, strict=True):
            ids = engine.encode(text)
            expected = plain(engine, engine.encode(prefix), ids)[range(len(ids)), ids].sum()
            assert likelihood.tokens == len(ids)
            assert likelihood.nats == pytest.approx(float(expected), abs=1e-4)


def test_small_batches_give_the_same_distributions(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    requests = [Request(engine.encode(text), [engine.encode(other) for other in TEXTS]) for text in TEXTS]
    whole = engine.read(requests, lambda log_probs, ids: log_probs.clone())
    monkeypatch.setattr("suture.evaluate.prefill.PASS_TOKENS", 1)
    for row, alone in zip(whole, engine.read(requests, lambda log_probs, ids: log_probs.clone()), strict=True):
        for a, b in zip(row, alone, strict=True):
            torch.testing.assert_close(a, b, atol=1e-4, rtol=0)


def test_an_empty_prefix_begins_with_the_start_token(engine: Engine) -> None:
    ids = engine.encode("No fever.")
    start = engine.tokenizer.bos_token_id
    expected = plain(engine, [start], ids)[range(len(ids)), ids].sum()
    assert engine.loglikelihood([("", ["No fever."])])[0][0].nats == pytest.approx(float(expected), abs=1e-4)


def reference(engine: Engine, prompt: str, limit: int) -> list[int]:
    ids = torch.tensor([engine.encode(prompt)])
    settings: dict[str, Any] = {"do_sample": False, "max_new_tokens": limit, "pad_token_id": 0}
    output = engine.model.generate(ids, attention_mask=torch.ones_like(ids), **settings)
    return [int(token) for token in output[0, ids.shape[1] :]]


@pytest.mark.parametrize("batch_size", [1, 2, 5])
@pytest.mark.parametrize("budget", [1, 1024])
def test_generation_equals_the_librarys_for_every_batch_size(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, batch_size: int, budget: int
) -> None:
    monkeypatch.setattr("suture.evaluate.prefill.PASS_TOKENS", budget)
    prompts = [engine.chat(text) for text in TEXTS]
    answers = engine.generate(prompts, max_new_tokens=12, batch_size=batch_size)
    for prompt, answer in zip(prompts, answers, strict=True):
        expected = reference(engine, prompt, 12)
        assert answer.text == engine.tokenizer.decode(expected, skip_special_tokens=True)
        assert answer.tokens == len(expected)


def test_a_row_that_stops_leaves_the_others_as_they_were(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    prompts = [engine.chat(text) for text in TEXTS]
    free = [reference(engine, prompt, 12) for prompt in prompts]
    stop = free[0][4]  # a token that the first answer holds
    monkeypatch.setattr(engine, "stop", frozenset({stop}))
    answers = engine.generate(prompts, max_new_tokens=12, batch_size=5)
    assert answers[0].finish_reason == "stop"
    for row, answer in zip(free, answers, strict=True):
        expected = row[: row.index(stop) + 1] if stop in row else row
        assert answer.tokens == len(expected)
        assert answer.text == engine.tokenizer.decode(expected, skip_special_tokens=True)


def test_no_prompts_no_answers(engine: Engine) -> None:
    assert engine.generate([], max_new_tokens=4, batch_size=2) == []
    assert engine.loglikelihood([]) == []


def test_a_prompt_beyond_the_context_is_refused_without_its_text(engine: Engine) -> None:
    with pytest.raises(BadInputError, match="1024 tokens") as error:
        engine.generate(["secret " * 1100], max_new_tokens=4, batch_size=1)
    assert "secret" not in str(error.value)


def windowed(window: int) -> Engine:
    config = MistralConfig(
        vocab_size=512,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        sliding_window=window,
    )
    torch.manual_seed(0)
    return Engine(MistralForCausalLM(config), SimpleNamespace(eos_token_id=2))


def test_a_model_with_an_attention_window_reads_what_fits_into_it() -> None:
    request = Request([5, 6, 7], [[8, 9], [10]])
    (found,) = windowed(16).read([request], lambda log_probs, ids: log_probs)
    for ids, log_probs in zip(request.continuations, found, strict=True):
        torch.testing.assert_close(log_probs, plain(windowed(16), [5, 6, 7], list(ids)), atol=1e-5, rtol=0)
    with pytest.raises(IncompatibleError, match="window of 3 tokens"):
        windowed(3).read([request], lambda log_probs, ids: log_probs)


def test_a_model_with_an_attention_window_generates_beyond_it() -> None:
    engine = windowed(4)
    prompts = [[5, 6, 7, 8, 9, 10], [11, 12]]
    together = engine.answer_ids(prompts, 6)
    assert together == [engine.answer_ids([prompt], 6)[0] for prompt in prompts]


def test_nan_is_an_error_not_an_answer(tmp_path: Path) -> None:
    model, tokenizer = load_model(tiny_model(tmp_path / "tiny"))
    with torch.no_grad():
        model.model.norm.weight.fill_(float("nan"))
    with pytest.raises(NumericError, match="Got NaN"):
        Engine(model, tokenizer).generate(["Cough."], max_new_tokens=2, batch_size=1)


def test_answers_differ_between_prompts(engine: Engine) -> None:
    answers: list[Generation] = engine.generate([engine.chat(t) for t in TEXTS], max_new_tokens=12, batch_size=5)
    assert len({answer.text for answer in answers}) > 1


def test_examples_are_turns_of_the_same_conversation(engine: Engine) -> None:
    examples = [("Write a letter: cough.", "Dear colleague, a cough."), ("Write a letter: rash.", "Dear colleague.")]
    shown = engine.chat("Write a letter: fever.", examples)
    order = [text for pair in examples for text in pair] + ["Write a letter: fever."]
    places = [shown.index(text) for text in order]
    assert places == sorted(places)
    assert shown.endswith(engine.chat("Write a letter: fever.")[-10:])
    assert engine.chat("Write a letter: fever.") != shown


def test_examples_without_a_template_are_plain_text(engine: Engine) -> None:
    bare = SimpleNamespace(chat_template=None)
    assert apply_chat(bare, "Third", [("First", "one"), ("Second", "two")]) == "First\none\n\nSecond\ntwo\n\nThird\n"
