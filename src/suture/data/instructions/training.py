"""Draws training records: a prompt with one verifiable constraint and a response that satisfies it."""

from __future__ import annotations

from itertools import product
from random import Random

from suture.data.instructions.topics import training_topics
from suture.data.instructions.writers import WRITERS
from suture.data.records import Record
from suture.errors import Problem, UsageError

REQUESTS = (
    "Write a short note about {topic}.",
    "Write a few words about {topic}.",
    "Tell me something about {topic}.",
    "What should I know about {topic}?",
)
NUMBERS = {"2": "two", "3": "three", "4": "four"}


def training(seed: int, n: int) -> list[Record]:
    """Return `n` records: a prompt with one constraint, and a response that satisfies it.

    section is the constraint's kind, facts its parameter; kinds come round evenly. More records only add at the end.
    Raises UsageError where `n` is negative or above the number of distinct prompts.
    """
    rng = Random(f"instructions/{seed}")
    topics = training_topics()
    rounds = {kind: list(product(topics, REQUESTS, wordings)) for kind, (wordings, _) in WRITERS.items()}
    for prompts in rounds.values():
        rng.shuffle(prompts)
    most = min(len(prompts) for prompts in rounds.values()) * len(WRITERS)
    if not 0 <= n <= most:
        raise UsageError(Problem(f"The number of training prompts must be in [0, {most}].", str(n)))
    records = []
    kinds: list[str] = []
    for number in range(n):
        kinds = kinds or rng.sample(sorted(WRITERS), len(WRITERS))
        kind = kinds.pop()
        topic, request, wording = rounds[kind].pop()
        asked = request.format(topic=topic.name)
        value, response = WRITERS[kind][1](topic, asked, rng)
        constraint = wording.format(value=NUMBERS.get(value, value))
        records.append(
            Record(
                id=f"instruction-{seed}-{number:05d}",
                source="synthetic instructions",
                encounter=topic.name,
                section=kind,
                input=f"{asked} {constraint}",
                target=response,
                split="train",
                licence="Apache-2.0",
                facts={"value": value},
            )
        )
    return records
