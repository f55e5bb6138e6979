"""Difference of two models -> PEFT adapter: each matrix by a truncated singular value decomposition.

The singular values are split evenly between both factors. One matrix is in memory at a time: its difference in fp32,
its sketch, and a block of a model.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from suture import events
from suture.checkpoint.adapter import CONFIG_NAME, PREFIX, WEIGHTS_NAME
from suture.checkpoint.header import Checkpoint, TensorInfo, read_checkpoint
from suture.checkpoint.opened import FLOAT_DTYPES, blocks_of, open_input, reading
from suture.checkpoint.source import ReaderOf
from suture.checkpoint.spool import Spool, spooled_folder
from suture.errors import IncompatibleError, NumericError, Problem, UsageError, refuse
from suture.numerics.keys import random_key
from suture.numerics.truncated import Matrix, decompose

REPORT_NAME = "extraction.json"
SHOWN = 8

_EMBEDDING = re.compile(r"(^|\.)(embed_tokens|tok_embeddings|word_embeddings|wte|wpe|embed_in|shared)$")
_FAN_IN_FAN_OUT = ("gpt2", "openai-gpt", "imagegpt", "decision_transformer")


@dataclass(frozen=True, slots=True)
class Extracted:
    """One matrix. rank: of its factors. energy: share of the squared difference that they hold. norm: of the
    difference (Frobenius).
    """

    name: str
    rank: int
    energy: float
    norm: float


@dataclass(frozen=True)
class Extraction:
    """What the adapter holds. matrices: as factors. saved: whole tensors (norms, biases). not_captured: tensors whose
    difference the adapter lacks, with the norm of it. unchanged: how many tensors are equal in both models.
    """

    matrices: tuple[Extracted, ...]
    saved: tuple[tuple[str, float], ...]
    not_captured: tuple[tuple[str, float], ...]
    unchanged: int

    @property
    def energy(self) -> float:
        """Share of the squared difference of the models that the adapter holds; NaN where they are equal."""
        saved = math.fsum(norm**2 for _, norm in self.saved)
        kept = math.fsum(m.energy * m.norm**2 for m in self.matrices) + saved
        lost = math.fsum(norm**2 for _, norm in self.not_captured)
        total = math.fsum(m.norm**2 for m in self.matrices) + saved + lost
        return kept / total if total > 0 else math.nan

    def to_json(self) -> bytes:
        """The report that stands in the adapter's folder."""
        content = {**asdict(self), "energy": self.energy if math.isfinite(self.energy) else None}
        return (json.dumps(content, indent=2) + "\n").encode()


@dataclass(frozen=True, slots=True)
class Extent:
    """How much of each matrix is kept: `rank` at the most, and only as much of it as holds the share `energy`.

    At least one of both is given. energy: in (0, 1].
    """

    rank: int | None = None
    energy: float | None = None

    def check(self) -> None:
        """Raise UsageError where it means nothing."""
        problems = []
        if self.rank is None and self.energy is None:
            problems.append(Problem("An adapter needs a rank or an energy.", "neither", "--rank, --energy"))
        if self.rank is not None and self.rank < 1:
            problems.append(Problem("The rank must be at least 1.", str(self.rank), "--rank"))
        if self.energy is not None and not 0 < self.energy <= 1:
            problems.append(Problem("The energy must be in (0, 1].", str(self.energy), "--energy"))
        refuse(UsageError, problems)


def extract_adapter(
    model: Path, base: Path, out: Path, extent: Extent, *, dtype: str = "F32", seed: int = 0, base_name: str = ""
) -> Extraction:
    """Write the adapter that makes `base` into `model` to the new folder `out`, whole or not at all.

    Matrices that differ become LoRA factors of scale 1; vectors that differ (norms, biases) are saved whole; other
    tensors are reported. dtype: of the factors; saved tensors keep the model's. seed: of the sketches, keyed by tensor.
    base_name: what adapter_config.json calls the base (its folder where empty). Raises IncompatibleError for models
    whose tensors do not correspond, NumericError for differences that are not finite.
    """
    extent.check()
    checkpoints = read_checkpoint(model), read_checkpoint(base)
    _require_correspondence(*checkpoints)
    transposed = checkpoints[1].config.get("model_type") in _FAN_IN_FAN_OUT
    work = _Work(checkpoints[0], checkpoints[1], extent, dtype, seed, transposed)
    files: dict[str, bytes] = {}
    total = sum(info.nbytes for c in checkpoints for info in c.tensors.values())
    with (
        spooled_folder(out, WEIGHTS_NAME, files) as spool,
        reading(*checkpoints) as reader_of,
        events.track("extract", total, "B") as advance,
    ):
        for name, info in checkpoints[0].tensors.items():
            work.one(name, spool, reader_of)
            advance(info.nbytes + checkpoints[1].tensors[name].nbytes)
        work.save_vectors(spool, reader_of)
        found = work.result()
        files[CONFIG_NAME] = work.config(found, base_name or str(base))
        files[REPORT_NAME] = found.to_json()
    return found


def _require_correspondence(model: Checkpoint, base: Checkpoint) -> None:
    problems = []
    for one, other in ((model, base), (base, model)):
        missing = sorted(one.tensors.keys() - other.tensors.keys())
        if missing:
            got = f"{len(missing)} missing: {', '.join(missing[:SHOWN])}"
            problems.append(Problem("Every tensor must stand in both models.", got, str(other.path)))
    for name, info in model.tensors.items():
        other_info = base.tensors.get(name)
        if other_info is not None and other_info.shape != info.shape:
            got = f"{list(info.shape)} and {list(other_info.shape)}"
            problems.append(Problem("A tensor must have one shape in both models.", got, name))
    refuse(IncompatibleError, problems)


class _Work:
    """The adapter under way."""

    def __init__(
        self, model: Checkpoint, base: Checkpoint, extent: Extent, dtype: str, seed: int, transposed: bool
    ) -> None:
        self.model, self.base = model, base
        self.extent, self.dtype, self.seed, self.transposed = extent, dtype, seed, transposed
        self.matrices: list[Extracted] = []
        self.vectors: dict[str, float] = {}
        self.lost: list[tuple[str, float]] = []
        self.saved: list[tuple[str, float]] = []
        self.saved_modules: list[str] = []
        self.biases = False
        self.unchanged = 0

    def one(self, name: str, spool: Spool, reader_of: ReaderOf) -> None:
        """Take up one tensor."""
        mine, other = self.model.tensors[name], self.base.tensors[name]
        if mine.dtype not in FLOAT_DTYPES or other.dtype not in FLOAT_DTYPES:
            if _bytes_of(mine, reader_of) != _bytes_of(other, reader_of):
                self.lost.append((name, math.nan))
            else:
                self.unchanged += 1
            return
        difference = _difference(mine, other, reader_of)
        norm = _norm(difference)
        if not math.isfinite(norm):
            raise NumericError(Problem("Differences must be finite.", "NaN or infinite values", name))
        if norm == 0:
            self.unchanged += 1
        elif len(mine.shape) == 2 and name.endswith(".weight"):
            self._factor(name.removesuffix(".weight"), difference.reshape(mine.shape), norm, spool)
        elif len(mine.shape) == 1 and name.endswith((".weight", ".bias")):
            self.vectors[name] = norm
        else:
            self.lost.append((name, norm))

    def _factor(self, module: str, difference: Matrix, norm: float, spool: Spool) -> None:
        """Keep the factors of one matrix."""
        key = random_key(self.seed, f"{module}.weight", "sketch")
        left, values, right = decompose(difference, norm, key, rank=self.extent.rank, energy=self.extent.energy)
        roots = np.sqrt(values)
        rows, columns = left * roots, roots[:, None] * right  # difference ~ rows @ columns
        embedding = _EMBEDDING.search(module) is not None
        a, b = (rows.T, columns.T) if embedding or self.transposed else (columns, rows)
        names = ("lora_embedding_A", "lora_embedding_B") if embedding else ("lora_A.weight", "lora_B.weight")
        spool.add(f"{PREFIX}{module}.{names[0]}", a, self.dtype)
        spool.add(f"{PREFIX}{module}.{names[1]}", b, self.dtype)
        energy = min(1.0, math.fsum(values.astype(np.float64) ** 2) / norm**2)
        self.matrices.append(Extracted(f"{module}.weight", len(values), energy, norm))

    def save_vectors(self, spool: Spool, reader_of: ReaderOf) -> None:
        """Keep the vectors: biases of factored modules under their layer, others as their whole module."""
        factored = {m.name.removesuffix(".weight") for m in self.matrices}
        for name, norm in self.vectors.items():
            module, _, kind = name.rpartition(".")
            if kind == "bias" and (module in factored or self._is_matrix(f"{module}.weight")):
                path = f"{module}.base_layer.bias" if module in factored else name
                self.biases = True
                self._save(f"{PREFIX}{path}", self.model.tensors[name], spool, reader_of)
            elif module not in self.saved_modules:
                self.saved_modules.append(module)
                for part in ("weight", "bias"):
                    info = self.model.tensors.get(f"{module}.{part}")
                    if info is not None:
                        self._save(f"{PREFIX}{module}.{part}", info, spool, reader_of)
            self.saved.append((name, norm))

    def _is_matrix(self, name: str) -> bool:
        return name in self.model.tensors and len(self.model.tensors[name].shape) == 2

    def _save(self, name: str, info: TensorInfo, spool: Spool, reader_of: ReaderOf) -> None:
        values = np.empty(info.elements, np.float32)
        open_input(info, reader_of).read_f32(0, values)
        spool.add(name, values.reshape(info.shape), info.dtype)

    def result(self) -> Extraction:
        """What was kept. Raises IncompatibleError where that is nothing."""
        if not self.matrices and not self.saved:
            got = (
                "equal models" if not self.lost else f"differences only in {', '.join(n for n, _ in self.lost[:SHOWN])}"
            )
            raise IncompatibleError(Problem("The models must differ where an adapter can.", got, str(self.model.path)))
        return Extraction(tuple(self.matrices), tuple(self.saved), tuple(self.lost), self.unchanged)

    def config(self, found: Extraction, base_name: str) -> bytes:
        """adapter_config.json: every module by its whole path, alpha equal to the rank, so that the scale is 1."""
        ranks = {m.name.removesuffix(".weight"): m.rank for m in found.matrices}
        common = max(ranks.values(), default=1)
        others = {re.escape(module): rank for module, rank in ranks.items() if rank != common}
        content = {
            "peft_type": "LORA",
            "task_type": None,
            "base_model_name_or_path": base_name,
            "inference_mode": True,
            "r": common,
            "lora_alpha": common,
            "rank_pattern": others,
            "alpha_pattern": others,
            "lora_dropout": 0.0,
            "bias": "all" if self.biases else "none",
            "fan_in_fan_out": self.transposed,
            "target_modules": sorted(ranks),
            "modules_to_save": sorted(self.saved_modules) or None,
        }
        return (json.dumps(content, indent=2) + "\n").encode()


def _difference(mine: TensorInfo, other: TensorInfo, reader_of: ReaderOf) -> Matrix:
    found = np.empty(mine.elements, np.float32)
    open_input(mine, reader_of).read_f32(0, found)
    for start, values in blocks_of(open_input(other, reader_of), other.elements):
        found[start : start + values.size] -= values
    return found


def _norm(values: Matrix, block: int = 1 << 20) -> float:
    squares = (values[i : i + block].astype(np.float64) for i in range(0, values.size, block))
    return math.sqrt(math.fsum(float(part @ part) for part in squares))


def _bytes_of(info: TensorInfo, reader_of: ReaderOf) -> bytes:
    data = bytearray(info.nbytes)
    reader_of(info).read_into(info, 0, memoryview(data))
    return bytes(data)


def lowest(matrices: Sequence[Extracted], count: int = 5) -> list[Extracted]:
    """The matrices of which the least energy is kept."""
    return sorted(matrices, key=lambda m: m.energy)[:count]
