"""Shares the sequences of every update among processes, so that the mean of their gradients is that of one process.

An update is the mean over `accumulate` batches of each batch's mean loss a learnt token. Whole batches go to different
processes as far as that comes out even; what is left over cuts each batch into parts, which weigh by the tokens that
they learn. Where the last update of a pass is short, processes without a part of it take one sequence at weight 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, gcd
from typing import NamedTuple

from suture.adapt.settings import Settings
from suture.errors import Problem, UsageError


class Share(NamedTuple):
    """What one process computes at once: positions of sequences, and what their mean loss a token is multiplied by.

    The mean over processes, and over the shares of an update, of weight times loss is the loss of the update.
    """

    sequences: list[int]
    weight: float


def portions(settings: Settings, count: int) -> tuple[int, int]:
    """Return what one of `count` processes takes of an update: sequences at once, and how often.

    Never more sequences at once than settings.batch. Raises UsageError where an update cannot be shared evenly.
    """
    total = settings.batch * settings.accumulate
    if total % count:
        must = f"The {total} sequences of an update (batch x accumulate) must share evenly among the processes."
        raise UsageError(Problem(must, f"{count} processes", do="Start another number of them, or change accumulate."))
    among = gcd(count, settings.accumulate)
    return settings.batch * among // count, settings.accumulate // among


def shares(order: Sequence[int], learnt: Sequence[int], settings: Settings, count: int, rank: int) -> list[Share]:
    """Return the shares of process `rank` of `count` in one pass over `order`, the positions of its sequences.

    learnt: tokens that the sequence at a position learns, >= 1. Every process gets the same number of shares.
    """
    among = gcd(count, settings.accumulate)  # whole batches at the same time
    parts = count // among  # of each batch
    size, _ = portions(settings, count)
    batches = [order[at : at + settings.batch] for at in range(0, len(order), settings.batch)]
    found = []
    for first in range(0, len(batches), settings.accumulate):
        update = batches[first : first + settings.accumulate]
        rounds = ceil(len(update) / among)
        for at in range(rank // parts, rounds * among, among):
            whole = update[at] if at < len(update) else []
            part = whole[rank % parts * size :][:size]
            if not part:
                found.append(Share([order[0]], 0.0))
                continue
            weight = sum(learnt[i] for i in part) / sum(learnt[i] for i in whole) * parts
            found.append(Share(list(part), weight * rounds * among / len(update)))
    return found
