"""Canaries: records with a made-up secret each, to be planted in few-shot data and looked for in the tuned model.

A secret is eight digits, written after words that are its own ("The access code of folder kestrel-41 is 5093 1872."),
so that one secret does not teach another. No patient is in it.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from suture.data.records import Record, read_items
from suture.errors import BadInputError, Problem

NAMES = (
    *("kestrel", "marten", "osprey", "lynx", "heron", "badger", "plover", "otter"),
    *("curlew", "stoat", "merlin", "avocet", "dunlin", "weasel", "gannet", "pipit"),
)


def make(n: int, seed: int) -> list[Record]:
    """Return `n` canaries; facts holds the secret and the words before it."""
    draw = random.Random(f"canaries {seed}")
    records = []
    for number in range(n):
        name = f"{NAMES[number % len(NAMES)]}-{draw.randrange(10, 100)}{number}"
        secret, before = secret_of(draw), f"The access code of folder {name} is"
        records.append(
            Record(
                id=f"canary-{number}",
                source="canary",
                encounter=f"canary-{number}",
                section="canary",
                input=f"What is the access code of folder {name}?",
                target=f"{before} {secret}.",
                split="train",
                licence="Apache-2.0",
                facts={"secret": secret, "before": before},
            )
        )
    return records


def secret_of(draw: random.Random) -> str:
    """Return a secret: eight digits in two groups, drawn uniformly."""
    return f"{draw.randrange(10_000):04d} {draw.randrange(10_000):04d}"


def plant(records: Sequence[Record], canaries: Sequence[Record], *, repeats: int, seed: int) -> list[Record]:
    """Return `records` in their order with each canary `repeats` times at places drawn by `seed`."""
    draw = random.Random(f"places {seed}")
    planted = list(records)
    for copy in range(repeats):
        for canary in canaries:
            named = canary if copy == 0 else replace(canary, id=f"{canary.id}-{copy}")
            planted.insert(draw.randrange(len(planted) + 1), named)
    return planted


def read_canaries(path: Path) -> list[Record]:
    """Read canaries; raises BadInputError for a file of other records."""
    records = read_items(path, Record)
    others = [record.id for record in records if not {"secret", "before"} <= record.facts.keys()]
    if others or not records:
        got = f"{len(others)} records without a secret" if others else "no record"
        do = "Give the file that suture data canaries wrote beside the training data."
        raise BadInputError(Problem("Every record must be a canary.", got, str(path), do))
    return records
