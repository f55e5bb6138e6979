"""Everyday topics of the instruction data, read from `topics.yaml`."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from random import Random
from typing import Any

import yaml


@dataclass(frozen=True, slots=True)
class Topic:
    """One topic of the training part: complete sentences, short items, and a word that one of the sentences carries."""

    name: str
    sentences: tuple[str, ...]
    items: tuple[str, ...]
    keyword: str

    def draw(self, rng: Random, count: int = 1) -> list[str]:
        """Return `count` of the sentences in an order drawn by `rng`, one of the two shortest first.

        Few and short: what is said is learnt soon, and what is left to learn is the form that the prompt asks for.
        """
        first = rng.choice(sorted(self.sentences, key=len)[:2])
        rest = [sentence for sentence in self.sentences if sentence != first]
        return [first, *rng.sample(rest, count - 1)]


@dataclass(frozen=True, slots=True)
class ContrastTopic:
    """One topic of the contrast part: a question, a true statement, a one-word answer, three short items."""

    name: str
    question: str
    statement: str
    word: str
    items: tuple[str, ...]


@cache
def training_topics() -> tuple[Topic, ...]:
    """Return the topics of the training part."""
    return tuple(
        Topic(row["name"], tuple(row["sentences"]), tuple(row["items"]), row["keyword"]) for row in _table()["training"]
    )


@cache
def contrast_topics() -> tuple[ContrastTopic, ...]:
    """Return the topics of the contrast part."""
    return tuple(
        ContrastTopic(name, question, statement, word, tuple(items))
        for name, question, statement, word, items in _table()["contrast"]
    )


@cache
def _table() -> dict[str, Any]:
    text = files("suture.data.instructions").joinpath("topics.yaml").read_text(encoding="utf-8")
    loaded: dict[str, Any] = yaml.safe_load(text)
    return loaded
