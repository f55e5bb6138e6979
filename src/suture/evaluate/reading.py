"""Tasks that only read: multiple choice, instruction contrast and likelihood of references, by log-likelihood."""

from __future__ import annotations

import math
from collections.abc import Sequence

from suture.data.records import Choice, ContrastPair, Record
from suture.evaluate.backend import Advance, Answerer
from suture.evaluate.engine import Likelihood
from suture.evaluate.items import ItemRow
from suture.evaluate.workload import text_digest
from suture.tasks.task import Task


def choose(engine: Answerer, task: Task, items: Sequence[Choice], digest: str, advance: Advance) -> list[ItemRow]:
    """Return one row a question; `answer` is the chosen option's text, `response` is empty."""
    requests = [(engine.chat(task.user_text(item.question)), item.options) for item in items]
    rows = []
    for item, found in zip(items, engine.loglikelihood(requests, advance=advance), strict=True):
        chosen, nll = judge(item, [likelihood.nats for likelihood in found])
        scores = {"accuracy": float(chosen == item.answer), "answer_nll": nll}
        prompt = text_digest(task.user_text(item.question), *item.options)
        tokens = sum(likelihood.tokens for likelihood in found)
        where = (digest, task.name, item.id, item.encounter, prompt)
        rows.append(ItemRow(*where, answer=item.options[chosen], tokens=tokens, scores=scores))
    return rows


def judge(item: Choice, nats: Sequence[float]) -> tuple[int, float]:
    """Return (the option of the highest log-likelihood per UTF-8 byte, -log of the right option's share, in nats)."""
    per_byte = [value / len(option.encode()) for value, option in zip(nats, item.options, strict=True)]
    top = max(nats)
    total = top + math.log(sum(math.exp(value - top) for value in nats))
    return per_byte.index(max(per_byte)), total - nats[item.answer]


def contrast(
    engine: Answerer, task: Task, pairs: Sequence[ContrastPair], digest: str, advance: Advance
) -> list[ItemRow]:
    """Return one row a pair; every distinct (prompt, response) is read once."""
    wanted: dict[str, dict[str, None]] = {}
    for pair in pairs:
        for prompt in (pair.prompt_a, pair.prompt_b):
            wanted.setdefault(prompt, {}).update(dict.fromkeys((pair.response_a, pair.response_b)))
    requests = [(engine.chat(prompt), tuple(responses)) for prompt, responses in wanted.items()]
    read = engine.loglikelihood(requests, advance=advance)
    log_p: dict[tuple[str, str], Likelihood] = {
        (prompt, response): likelihood
        for (prompt, responses), found in zip(wanted.items(), read, strict=True)
        for response, likelihood in zip(responses, found, strict=True)
    }
    rows = []
    for pair in pairs:
        own = log_p[pair.prompt_a, pair.response_a].nats + log_p[pair.prompt_b, pair.response_b].nats
        crossed = log_p[pair.prompt_b, pair.response_a].nats + log_p[pair.prompt_a, pair.response_b].nats
        tokens = log_p[pair.prompt_a, pair.response_a].tokens + log_p[pair.prompt_b, pair.response_b].tokens
        scores = {"contrast": own - crossed, "contrast_sign": float(own > crossed)}
        prompt = text_digest(pair.prompt_a, pair.prompt_b, pair.response_a, pair.response_b)
        rows.append(ItemRow(digest, task.name, pair.id, pair.topic, prompt, tokens=tokens, scores=scores))
    return rows


def likelihood(engine: Answerer, task: Task, records: Sequence[Record], digest: str, advance: Advance) -> list[ItemRow]:
    """Return one row a record: mean log p a token of its target, after the chat's prompt or as raw text."""
    users = [task.user_text(record.input) if task.instruction else "" for record in records]
    requests = [
        (engine.chat(user) if user else "", (record.target,)) for user, record in zip(users, records, strict=True)
    ]
    rows = []
    for record, user, (found,) in zip(records, users, engine.loglikelihood(requests, advance=advance), strict=True):
        scores = {"log_likelihood": found.nats / found.tokens}
        prompt = text_digest(user, record.target)
        rows.append(ItemRow(digest, task.name, record.id, record.encounter, prompt, tokens=found.tokens, scores=scores))
    return rows
