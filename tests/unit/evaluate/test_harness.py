"""Our engine under the harness's task files gives what the harness's own model class gives under them."""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from suture.checkpoint.load import load_model
from suture.data.documents import as_documents, of_section
from suture.data.prepare import load, problems_of
from suture.data.records import Record
from suture.errors import BadInputError
from suture.evaluate import harness
from suture.evaluate.engine import Engine
from suture.tasks.suites import FOLDER, SUITE_TASKS, task_file
from suture.testing.tiny import tiny_model

NEW_TOKENS = 12
CHOICE = ("medqa", "medmcqa", "pubmedqa", "mmlu_anatomy", "arc_challenge", "hellaswag", "truthfulqa")
TEXT = ("mts_dialog", "meqsum", "gsm8k")


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    model, tokenizer = load_model(tiny_model(tmp_path_factory.mktemp("models") / "tiny", seed=3))
    with torch.no_grad():  # a random model of this size answers all prompts alike: sharpen it
        for parameter in model.parameters():
            parameter.mul_(4.0)
    return Engine(model, tokenizer)


@pytest.fixture(scope="module")
def by_the_harness(engine: Engine, official: Path) -> dict[str, list[dict[str, Any]]]:
    """Task -> the samples that lm_eval logs when it runs our task files with its own HFLM."""
    import lm_eval
    from lm_eval.models.huggingface import HFLM
    from lm_eval.tasks import TaskManager

    logging.getLogger("lm_eval").setLevel(logging.CRITICAL)
    model = HFLM(pretrained=engine.model, tokenizer=engine.tokenizer, batch_size=2, max_length=1024)
    found: dict[str, list[dict[str, Any]]] = {}
    for names, settings in (
        (CHOICE, {}),
        (TEXT, {"apply_chat_template": True, "gen_kwargs": f"max_gen_toks={NEW_TOKENS}"}),
    ):
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("SUTURE_DATA", str(official))
            output = lm_eval.simple_evaluate(
                model=model,
                tasks=[f"suture_{name}" for name in names],
                task_manager=TaskManager(include_path=str(FOLDER), include_defaults=False),
                bootstrap_iters=0,
                log_samples=True,
                **settings,
            )
        found |= {name.removeprefix("suture_"): samples for name, samples in output["samples"].items()}
    return found


def rows_of(engine: Engine, name: str, official: Path) -> list[Any]:
    task = SUITE_TASKS[name]
    task = replace(task, max_new_tokens=NEW_TOKENS if task.max_new_tokens else 0)
    asked = harness.ask(task, of_section(load(task.dataset, official), task.section), engine.chat)
    return harness.answer(engine, asked, asked.questions, "digest", 2, lambda _: None)


@pytest.mark.parametrize("name", CHOICE)
def test_choices_are_the_harness_s(
    engine: Engine, official: Path, by_the_harness: dict[str, list[dict[str, Any]]], name: str
) -> None:
    rows, samples = rows_of(engine, name, official), by_the_harness[name]
    assert len(rows) == len(samples) > 1
    for row, sample in zip(rows, samples, strict=True):
        nats = [float(response[0][0]) for response in sample["resps"]]
        gold = nats[int(sample["doc"]["answer"])]
        assert row.item_id == sample["doc"]["id"]
        assert row.scores["accuracy"] == sample["acc"]
        if "acc_norm" in sample:
            assert row.scores["accuracy_norm"] == sample["acc_norm"]
        nll = torch.logsumexp(torch.tensor(nats, dtype=torch.float64), 0) - gold
        assert row.scores["answer_nll"] == pytest.approx(float(nll), abs=1e-3)


@pytest.mark.parametrize("name", TEXT)
def test_answers_are_the_harness_s(
    engine: Engine, official: Path, by_the_harness: dict[str, list[dict[str, Any]]], name: str
) -> None:
    rows, samples = rows_of(engine, name, official), by_the_harness[name]
    assert len({row.response for row in rows}) > 1
    for row, sample in zip(rows, samples, strict=True):
        assert row.response == sample["resps"][0][0].strip()
        for metric in ("rouge1", "rougeLsum", "bleu", "meteor", "fact_omission", "fact_fabrication", "exact_match"):
            if metric in sample:
                assert row.scores[metric] == pytest.approx(sample[metric], nan_ok=True)


@pytest.mark.parametrize(
    ("name", "function"),
    [
        ("medqa", "medqa.preprocess_medqa"),
        ("medmcqa", "medmcqa.utils_medmcqa"),
        ("pubmedqa", "pubmedqa.preprocess_pubmedqa"),
    ],
)
def test_prompts_are_those_of_the_harness_s_own_tasks(official: Path, name: str, function: str) -> None:
    import importlib

    theirs = importlib.import_module(f"lm_eval.tasks.{function}").doc_to_text
    items = load(name, official).items
    asked = harness.ask(SUITE_TASKS[name], items, None)
    for question, item in zip(asked.questions, items, strict=True):
        options = list(getattr(item, "options", ()))
        document = {
            "sent1": getattr(item, "question", ""),
            "question": getattr(item, "question", ""),
            "QUESTION": getattr(item, "question", ""),
            "CONTEXTS": getattr(item, "context", "").split("\n"),
            **{f"ending{k}": option for k, option in enumerate(options)},
            **dict(zip(("opa", "opb", "opc", "opd"), options, strict=False)),
        }
        assert question.context == theirs(document)


def test_every_task_of_a_suite_has_its_file_and_its_reason() -> None:
    for task in SUITE_TASKS.values():
        if task.kind == "harness":
            text = task_file(task).read_text(encoding="utf-8")
            assert text.startswith("# The harness") or text.startswith("# Open stand-in"), task.name
            assert f"task: suture_{task.name}\n" in text
            limit = f"max_gen_toks: {task.max_new_tokens}"
            assert (limit in text) == bool(task.max_new_tokens), task.name


def test_options_share_one_reading_of_their_question(
    engine: Engine, official: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[int] = []
    original = Engine.read

    def counted(self: Engine, requests: Any, *arguments: Any, **settings: Any) -> Any:
        read.extend(len(request.prefix) for request in requests)
        return original(self, requests, *arguments, **settings)

    monkeypatch.setattr(Engine, "read", counted)
    rows = rows_of(engine, "medqa", official)
    assert len(read) == len(rows) == 4  # not 16


def test_a_long_input_loses_its_start_and_says_so(engine: Engine) -> None:
    long = Record("r", "x", "e", "", "cough " * 2000, "No fever.", "test", "x")
    task = replace(SUITE_TASKS["meqsum"], max_new_tokens=4)
    asked = harness.ask(task, [long, replace(long, id="s", input="cough")], engine.chat)
    first, second = harness.answer(engine, asked, asked.questions, "d", 1, lambda _: None)
    assert (first.scores["truncated"], second.scores["truncated"]) == (1.0, 0.0)


def test_a_chat_template_that_fails_is_named_without_the_item(engine: Engine, official: Path) -> None:
    def broken(text: str) -> str:
        raise ValueError(text)

    with pytest.raises(BadInputError, match="chat template must render") as caught:
        harness.ask(SUITE_TASKS["meqsum"], load("meqsum", official).items, broken)
    assert "helps" not in str(caught.value)


def test_documents_are_the_items(official: Path) -> None:
    (first, *_) = as_documents(load("pubmedqa", official).items)
    assert first["context"] == "The lungs are clear.\nNo fever."
    assert json.dumps(first)


def test_every_task_asks_its_real_items(engine: Engine, shared_data: Path) -> None:
    """Each task whose data are here: its prompt holds the item's text, its digest is the prompt's, no two are alike."""
    asked_tasks = 0
    for task in SUITE_TASKS.values():
        if task.kind != "harness" or problems_of(task.dataset, shared_data):
            continue
        items = of_section(load(task.dataset, shared_data), task.section)[:20]
        asked = harness.ask(task, items, engine.chat)
        assert len({question.prompt_digest for question in asked.questions}) == len(items), task.name
        for question, item in zip(asked.questions, items, strict=True):
            text = item.input if isinstance(item, Record) else item.question.strip()
            assert text in question.context, task.name
            assert question.context.startswith("<|im_start|>user") == asked.generates, task.name
            options = 1 if isinstance(item, Record) else len(item.options)
            assert len(question.instances) == options, task.name
        asked_tasks += 1
    assert asked_tasks >= 20
