"""The ledger: for each tensor of any input whether it is merged, copied or dropped, with the reason, or refused.

Nothing is left out by a warning. What the names of tensors mean (heads, embeddings, buffers) is known here alone.
Pure: it sees headers and configs, and says in `equal` what a reader has yet to confirm.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal

from suture.checkpoint.header import Checkpoint, TensorInfo
from suture.checkpoint.scaled import FP8, ScaledSet
from suture.checkpoint.source import Input
from suture.errors import Problem

FLOATS = ("F32", "F16", "BF16", *FP8)
SHOWN = 8
ENDS = (
    ("lm_head.weight", ("embed_tokens.weight", "wte.weight", "word_embeddings.weight", "embeddings.weight")),
    ("embed_out.weight", ("embed_in.weight",)),
    ("output.weight", ("tok_embeddings.weight",)),
)
"""Heads and the embeddings to which `tie_word_embeddings` ties them, as the families of the field name them."""

TIED = "the head is the embedding (tie_word_embeddings), and holds the same values"
COMPUTED = "a buffer that loading computes from the config"
_BUFFERS = (
    (re.compile(r"(?:^|\.)(?:rotary_emb|rotary_pos_emb|rotary)\.(?:inv_freq|cos_cached|sin_cached)$"), None),
    (re.compile(r"(?:^|\.)position_ids$"), None),
    (re.compile(r"(?:^|\.)(?:attn|attention)\.masked_bias$"), 0),
    (re.compile(r"(?:^|\.)(?:attn|attention)\.bias$"), 4),
)
"""Names of buffers that no training changes, and the rank that tells a causal mask from a bias of that name."""
_BUFFER_ENDS = ("inv_freq", "_cached", "position_ids", "bias")


@dataclass(frozen=True, slots=True)
class Line:
    """One tensor. inputs: one a model, in their order, where it is merged or copied; else those that are dropped."""

    name: str
    action: Literal["merge", "copy", "drop"]
    inputs: tuple[TensorInfo, ...]
    reason: str = ""


@dataclass(frozen=True)
class Ledger:
    """All lines, in the order of the donor's files, then what only others have; and what must hold for them.

    equal: pairs of tensors of one model (its position first) that must hold the same bytes, else dropping the first
    loses something. config: what the output's config.json says otherwise than the donor's.
    """

    lines: tuple[Line, ...]
    problems: tuple[Problem, ...]
    equal: tuple[tuple[int, TensorInfo, TensorInfo], ...]
    config: Mapping[str, Any]
    notes: tuple[str, ...]

    @property
    def kept(self) -> tuple[Line, ...]:
        """The tensors of the output."""
        return tuple(line for line in self.lines if line.action != "drop")

    @property
    def dropped(self) -> tuple[Line, ...]:
        """The tensors of inputs that the output does not have."""
        return tuple(line for line in self.lines if line.action == "drop")


def make_ledger(
    names: Sequence[str],
    checkpoints: Sequence[Checkpoint],
    donor: int,
    scaled: Sequence[ScaledSet] | None = None,
) -> Ledger:
    """Decide on every tensor of `checkpoints` (called `names`), of which that at position `donor` gives the config.

    scaled: what `find_scaled` says of each. A tensor that a model lacks, of another shape, or of a dtype that cannot be
    averaged with the others', becomes a problem: all together, a few names of each.
    """
    return _Reconciler(names, checkpoints, donor, scaled).run()


def natural_dtype(inputs: Sequence[Input]) -> str:
    """Return the dtype of a merged tensor where the recipe names none: what all share, else F32; fp8 counts as BF16."""
    found = {"BF16" if info.dtype in FP8 else info.dtype for info in inputs}
    return found.pop() if len(found) == 1 else "F32"


def says_tied(config: Mapping[str, Any]) -> bool | None:
    """Return `tie_word_embeddings` of a config, or of its language part; None where it is not said."""
    for part in (config, *(config.get(key) for key in ("text_config", "llm_config", "language_config"))):
        if isinstance(part, Mapping) and isinstance(part.get("tie_word_embeddings"), bool):
            return bool(part["tie_word_embeddings"])
    return None


def find_ends(names: Sequence[str]) -> tuple[str | None, str | None]:
    """Return (head, embedding) among the tensors' names, None for what is not there; those inside layers are others."""
    outside = [name for name in names if not any(part.isdigit() for part in name.split("."))]
    for head, embeddings in ENDS:
        embedding = next((n for n in outside for e in embeddings if n == e or n.endswith(f".{e}")), None)
        if embedding is not None:
            return next((n for n in outside if n == head or n.endswith(f".{head}")), None), embedding
    return None, None


class _Reconciler:
    """The ledger in the making: lines, and findings by kind, so that each kind becomes one problem a model."""

    def __init__(
        self, names: Sequence[str], checkpoints: Sequence[Checkpoint], donor: int, scaled: Sequence[ScaledSet] | None
    ) -> None:
        self.names, self.checkpoints = names, checkpoints
        self.served = [s.served for s in scaled] if scaled else [{}] * len(names)
        self.everything = dict.fromkeys(
            name for c in (checkpoints[donor], *checkpoints) for name in c.tensors
        )  # ordered, unlike a set
        self.head, self.embedding = find_ends(list(self.everything))
        self.ties = [self._ties(c) for c in checkpoints]
        self.donor = donor
        self.lines: list[Line] = []
        self.missing: dict[int, list[str]] = {}
        self.reshaped: dict[int, list[str]] = {}
        self.retyped: list[str] = []
        self.equal: list[tuple[int, TensorInfo, TensorInfo]] = []
        self.config: dict[str, Any] = {}
        self.notes: list[str] = []

    def run(self) -> Ledger:
        for name in self.everything:
            if name == self.head and any(self.ties):
                self._tied_head(name)
            else:
                self._line(name, [c.tensors.get(name) for c in self.checkpoints])
        notes = (*self.notes, *_drop_notes(self.lines))
        return Ledger(
            tuple(self.lines), tuple(self._problems()), tuple(self.equal), MappingProxyType(self.config), notes
        )

    def _ties(self, checkpoint: Checkpoint) -> bool:
        """Say whether the head is the embedding. Where the config is silent, a head that is not stored tells it."""
        if self.head is None or self.embedding not in checkpoint.tensors:
            return False
        said = says_tied(checkpoint.config)
        return self.head not in checkpoint.tensors if said is None else said

    def _tied_head(self, head: str) -> None:
        """Drop the head where all models tie it; else each tied model gives its embedding in the head's place."""
        assert self.embedding is not None  # as _ties found; no user input
        stored = [c.tensors.get(head) for c in self.checkpoints]
        embeddings = [c.tensors.get(self.embedding) for c in self.checkpoints]
        for index, (own, embedding) in enumerate(zip(stored, embeddings, strict=True)):
            if self.ties[index] and own is not None and embedding is not None:
                self.equal.append((index, own, embedding))
        if all(self.ties):
            self.lines.append(Line(head, "drop", tuple(info for info in stored if info is not None), TIED))
            return
        inputs = [e if tied else own for e, own, tied in zip(embeddings, stored, self.ties, strict=True)]
        self._line(head, inputs)
        tied = ", ".join(name for name, ties in zip(self.names, self.ties, strict=True) if ties)
        self.notes.append(f"{head} of {tied} is its embedding (tied); the output has a head of its own")
        if self.ties[self.donor]:
            self.config = _untied(self.checkpoints[self.donor].config)

    def _line(self, name: str, found: list[TensorInfo | None]) -> None:
        inputs = tuple(info for info in found if info is not None)
        served = [serves.get(name) for serves, info in zip(self.served, found, strict=True) if info is not None]
        if any(served):
            if all(served):
                self.lines.append(Line(name, "drop", inputs, str(served[0])))
            else:
                self.retyped.append(f"'{name}' a scale in one model, a weight in another")
            return
        complete = len(inputs) == len(found)
        alike = len({(info.dtype, info.shape) for info in inputs}) == 1
        if all(_is_buffer(info) for info in inputs):
            keep = complete and alike
            self.lines.append(Line(name, "copy" if keep else "drop", inputs, "" if keep else COMPUTED))
        elif complete:
            self._complete(name, inputs)
        else:
            for index, info in enumerate(found):
                if info is None:
                    self.missing.setdefault(index, []).append(name)

    def _complete(self, name: str, inputs: tuple[TensorInfo, ...]) -> None:
        dtypes = dict.fromkeys(info.dtype for info in inputs)
        for index, info in enumerate(inputs):
            if info.shape != inputs[0].shape:
                got = f"'{name}' {list(info.shape)} instead of {list(inputs[0].shape)}"
                self.reshaped.setdefault(index, []).append(got)
        if all(dtype in FLOATS for dtype in dtypes):
            self.lines.append(Line(name, "merge", inputs))
        elif len(dtypes) == 1:
            self.lines.append(Line(name, "copy", inputs))
        else:
            self.retyped.append(f"'{name}' {' and '.join(dtypes)}")

    def _problems(self) -> Iterator[Problem]:
        for index, found in sorted(self.missing.items()):
            do = "Merge models of one architecture, saved in one way."
            got = f"{len(found)} missing: {_some(sorted(found))}"
            yield Problem("Every tensor must stand in every model.", got, self.names[index], do)
        for index, found in sorted(self.reshaped.items()):
            got = f"{len(found)} others: {_some(found)}"
            do = "Merge models of one size and vocabulary."
            yield Problem(f"Shapes must be those of {self.names[0]}.", got, self.names[index], do)
        if self.retyped:
            must = "A tensor must be a float in every model, or of one other dtype in every model."
            got = f"{len(self.retyped)} others: {_some(self.retyped)}"
            yield Problem(must, got, ", ".join(self.names), "De-quantise the quantised model first.")


def _is_buffer(info: TensorInfo) -> bool:
    if not info.name.endswith(_BUFFER_ENDS):  # spares four patterns a tensor
        return False
    for pattern, rank in _BUFFERS:
        if pattern.search(info.name):
            return rank is None or len(info.shape) == rank or (rank == 0 and info.elements == 1)
    return False


def _untied(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the keys of `config` that must change for the head to be its own."""
    changed: dict[str, Any] = {"tie_word_embeddings": False}
    for key in ("text_config", "llm_config", "language_config"):
        if isinstance(config.get(key), Mapping):
            changed[key] = {**config[key], "tie_word_embeddings": False}
    return changed


def _drop_notes(lines: Sequence[Line]) -> Iterator[str]:
    reasons: dict[str, list[str]] = {}
    for line in lines:
        if line.action == "drop":
            reasons.setdefault(line.reason, []).append(line.name)
    for reason, names in reasons.items():
        count = f"{len(names)} tensor{'s are' if len(names) > 1 else ' is'}"
        yield f"{count} not written: {_some(names)}: {reason}"


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more
