"""General ability: GSM8K, ARC-Challenge, HellaSwag, TruthfulQA (MC1); and the prompts of IFEval and IFBench."""

from __future__ import annotations

import re
from typing import Any

from suture.data.records import Choice, Record
from suture.data.source import Files
from suture.data.tables import read_rows, tidy
from suture.errors import BadInputError, Problem, refuse


def gsm8k(files: Files, split: str) -> list[Record]:
    """Read GSM8K: question -> worked answer, which ends in "#### <number>"."""
    rows = read_rows(files[split], ("question", "answer"))
    records, wrong = [], []
    for number, row in enumerate(rows):
        name = f"gsm8k-{split}-{number}"
        if not re.search(r"#### -?[\d.,]+\s*$", row["answer"]):
            wrong.append(
                Problem("An answer must end in #### and a number.", "another end", f"{files[split]}, {number}")
            )
        records.append(Record(name, "gsm8k", name, "", tidy(row["question"]), tidy(row["answer"]), split, "MIT"))
    refuse(BadInputError, wrong[:10])
    return records


def arc_challenge(files: Files, split: str) -> list[Choice]:
    """Read ARC-Challenge: the authors' JSON lines, the hub's rows, or rows with choices as a list and gold."""
    items = []
    for number, row in enumerate(read_rows(files[split], ("question",))):
        stem, choices = row["question"], row.get("choices")
        if isinstance(stem, dict):  # the authors' form
            stem, choices = stem["stem"], stem["choices"]
        texts, labels = _choices(choices)
        answer = int(row["gold"]) if "gold" in row else labels.index(row["answerKey"])
        name = f"arc_challenge-{split}-{row.get('id', number)}"
        items.append(Choice(name, name, str(stem), tuple(texts), answer))
    return items


def hellaswag(files: Files, split: str) -> list[Choice]:
    """Read HellaSwag, its brackets taken out as the field does (lm-evaluation-harness, task hellaswag).

    From the authors' rows (activity_label, ctx_a, ctx_b, endings, label) or from rows prepared so (query,
    choices, gold).
    """
    items = []
    for number, row in enumerate(read_rows(files["table"])):
        name = f"hellaswag-{row.get('ind', number)}-{number}"
        if "query" in row:
            query, choices, gold = row["query"], row["choices"], row["gold"]
        else:
            whole = f"{row['activity_label']}: {row['ctx_a']} {row['ctx_b'].capitalize()}"
            query, choices, gold = unbracket(whole), [unbracket(text) for text in row["endings"]], row["label"]
        items.append(Choice(name, name, query, tuple(choices), int(gold)))
    return items


def truthfulqa(files: Files, split: str) -> list[Choice]:
    """Read TruthfulQA for MC1, one true answer: the authors' mc_task.json, or the hub's rows with mc1_targets.

    The right option comes first in the published files; log-likelihoods do not see the order.
    """
    items = []
    for number, row in enumerate(read_rows(files["table"], ("question", "mc1_targets"))):
        targets: Any = row["mc1_targets"]
        if "labels" in targets:
            targets = dict(zip(targets["choices"], targets["labels"], strict=True))
        labels = [int(label) for label in targets.values()]
        if sum(labels) != 1:
            must = "MC1 must have one right answer."
            raise BadInputError(Problem(must, f"{sum(labels)}", f"{files['table']}, question {number + 1}"))
        name = f"truthfulqa-{number}"
        items.append(Choice(name, name, str(row["question"]), tuple(targets), labels.index(1)))
    return items


def prompts(files: Files, split: str) -> list[Record]:
    """Read the prompts of IFEval or IFBench, to count and check them; their published JSON lines are what is used."""
    where = files["prompts"]
    seen: set[str] = set()
    problems, records = [], []
    for number, row in enumerate(read_rows(where, ("key", "prompt", "instruction_id_list", "kwargs")), start=1):
        key = str(row["key"])
        if key in seen:
            problems.append(Problem("Keys must be unique.", "a repeated key", f"{where}, line {number}"))
        if len(row["kwargs"]) != len(row["instruction_id_list"]):
            must = "Each instruction must have its arguments."
            problems.append(Problem(must, f"{len(row['kwargs'])} of them", f"{where}, line {number}"))
        seen.add(key)
        records.append(Record(key, "prompts", key, "", str(row["prompt"]), "", split, "see the source"))
    refuse(BadInputError, problems)
    return records


def unbracket(text: str) -> str:
    """Return a HellaSwag text without the marks that its WikiHow part carries."""
    text = text.strip().replace(" [title]", ". ")
    return re.sub(r"\[.*?\]", "", text).replace("  ", " ")


def _choices(choices: Any) -> tuple[list[str], list[str]]:
    if isinstance(choices, dict):
        return list(choices["text"]), list(choices["label"])
    if choices and isinstance(choices[0], dict):
        return [choice["text"] for choice in choices], [choice["label"] for choice in choices]
    return list(choices or ()), []
