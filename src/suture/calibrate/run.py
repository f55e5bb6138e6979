"""Statistics of a model on texts, written as tensors under the model's names: what merges by evidence weigh with.

gram: for the weight (out, in) of a linear layer, the mean of x x^T over the layer's inputs x at all tokens, (in, in):
what RegMean and activation-informed merging take. fisher: for every parameter, the mean over the texts of the squared
gradient of the text's log-likelihood (the empirical Fisher of the labels given, diagonal).

The model is in memory; accumulators are bounded: what does not fit the budget waits for another pass over the texts.
No text, token or loss is ever logged; the file is private, for statistics of few texts tell about them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from blake3 import blake3

from suture import events
from suture.calibrate.measures import FisherMeasure, GramMeasure, grouped
from suture.calibrate.texts import read_texts, token_rows
from suture.checkpoint.adapter import TensorNames
from suture.checkpoint.disk import check_space
from suture.checkpoint.header import read_checkpoint
from suture.checkpoint.spool import spooled_file

Statistic = Literal["gram", "fisher"]
SHOWN = 8


@dataclass(frozen=True, slots=True)
class Settings:
    """length: tokens of a text that are read, the rest is cut. memory: bytes for accumulators. fields: of each line of
    the file, joined by a newline. dtype, device: as torch names them.
    """

    length: int = 1024
    memory: int = 4 << 30
    fields: tuple[str, ...] = ("text",)
    dtype: str = "float32"
    device: str = "cpu"


@dataclass(frozen=True)
class Calibration:
    """What was measured. tensors: how many. left_out: parameters without a statistic, by name in memory. passes: over
    the texts. nbytes: of the file.
    """

    statistic: Statistic
    texts: int
    tokens: int
    tensors: int
    left_out: tuple[str, ...]
    passes: int
    nbytes: int


def calibrate(
    model: Path,
    data: Path,
    out: Path,
    statistic: Statistic,
    settings: Settings,
    *,
    announce: Callable[[int, int], None] = lambda nbytes, passes: None,
) -> Calibration:
    """Measure `statistic` of the model in folder `model` on the texts of `data`; write it to the new file `out`.

    announce: called with the bytes to be written and the number of passes, before the first one.
    Raises BadInputError for the model's or the texts' files, OutputExistsError, ResourceError where the disk is too
    small, NumericError where a statistic is not finite.
    """
    texts = read_texts(data, settings.fields)
    checkpoint = read_checkpoint(model)
    with spooled_file(out) as spool:
        from suture.checkpoint.load import load_model

        loaded, tokenizer = load_model(model, dtype=settings.dtype, device=settings.device)
        rows = token_rows(tokenizer, texts, data, length=settings.length, device=settings.device)
        names = TensorNames(checkpoint.tensors)
        measure = GramMeasure(loaded, rows) if statistic == "gram" else FisherMeasure(loaded, rows)
        shares, left_out = measure.shares(names)
        nbytes = sum(4 * share.elements * len(share.names) for share in shares)
        check_space(out.parent, 2 * nbytes)
        groups = list(grouped(shares, settings.memory, measure.width))
        announce(nbytes, len(groups))
        with events.track(f"calibrate {statistic}", len(groups) * len(rows), "texts") as advance:
            for group in groups:
                measure.group(group, spool, lambda: advance(1))
        tokens = sum(len(row) for row in rows)
        spool.metadata |= {
            "statistic": statistic,
            "texts": str(len(rows)),
            "tokens": str(tokens),
            "data": blake3(data.read_bytes()).hexdigest(),
        }
    count = sum(len(share.names) for share in shares)
    return Calibration(statistic, len(rows), tokens, count, tuple(left_out), len(groups), nbytes)


def described(found: Calibration) -> Mapping[str, str]:
    """What the command tells, by what it is."""
    left = ", ".join(found.left_out[:SHOWN]) + (" ..." if len(found.left_out) > SHOWN else "")
    return {
        "texts": f"{found.texts}, {found.tokens:,} tokens",
        "tensors": str(found.tensors),
        **({"without a statistic": left} if found.left_out else {}),
    }
