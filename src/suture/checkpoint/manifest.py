"""manifest.json: what an output was made of, so that an auditor can make it again and compare the digests."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from suture.errors import BadInputError, Problem

MANIFEST_NAME = "manifest.json"


@dataclass(frozen=True, slots=True)
class InputModel:
    """One input: its reference in the recipe and the weights digest read while merging (None: digests left out)."""

    model: str
    weights_digest: str | None


@dataclass(frozen=True, slots=True)
class Realised:
    """How far the output lies on the way from general to clinical: projection of (x - general) on (clinical - general).

    nominal: of the fp32 result before rounding. coefficient: of what was written. None where the roles coincide.
    """

    general: str
    clinical: str
    nominal: float | None
    coefficient: float | None

    @property
    def deviates(self) -> bool:
        """Say whether rounding moved the coefficient by more than 5 % of the nominal one."""
        if self.nominal is None or self.coefficient is None:
            return False
        return abs(self.coefficient - self.nominal) > 0.05 * abs(self.nominal)


@dataclass(frozen=True, slots=True)
class TensorEntry:
    """The ledger's line for one tensor: merged or copied, from which dtypes to which, its realised coefficient."""

    action: str
    dtype: str
    shape: tuple[int, ...]
    nominal: float | None = None
    realised: float | None = None
    arc: bool | None = None


ENTRY_KEYS = tuple(field.name for field in fields(TensorEntry))


@dataclass(frozen=True)
class Manifest:
    """All that is known of one merge. seconds is wall time; everything else is a function of the inputs.

    tensors: those of the output. dropped: those of each input that the output has nothing of, with the reason.
    untrained: rows of special tokens that one input never trained, and the input that gave them.
    """

    version: str
    method: str
    recipe: Mapping[str, Any]
    donor: str
    inputs: tuple[InputModel, ...]
    weights_digest: str | None
    tokenizer_digest: str
    rounding: str
    seed: int
    realised: Realised | None
    arc_tensors: int | None
    tensors: Mapping[str, TensorEntry]
    dropped: Mapping[str, Mapping[str, str]]
    untrained: tuple[Mapping[str, Any], ...]
    notes: tuple[str, ...]
    seconds: float

    def to_json(self) -> bytes:
        """Return the file's bytes: one key a line, and one line for each tensor."""
        content = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "tensors"}
        content["inputs"] = [asdict(given) for given in self.inputs]
        content["realised"] = asdict(self.realised) if self.realised is not None else None
        lines = [f" {json.dumps(key)}: {json.dumps(value, sort_keys=True)}" for key, value in content.items()]
        tensors = [
            f"  {json.dumps(name)}: {json.dumps({key: getattr(entry, key) for key in ENTRY_KEYS})}"
            for name, entry in sorted(self.tensors.items())
        ]
        lines.append(' "tensors": {\n' + ",\n".join(tensors) + "\n }")
        return ("{\n" + ",\n".join(sorted(lines)) + "\n}\n").encode()


def read_manifest(folder: Path) -> dict[str, Any]:
    """Return manifest.json of a merged checkpoint. Raises BadInputError where there is none."""
    file = folder / MANIFEST_NAME
    if not file.is_file():
        raise BadInputError(Problem("A merged checkpoint must hold its manifest.", "none", str(folder)))
    return dict(json.loads(file.read_text(encoding="utf-8")))
