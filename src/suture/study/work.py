"""A step's work in tokens, and the hours that it takes on a named accelerator, for models that no core would train.

Time of training: 6 N operations a token and 2 N more where activations are computed again (Kaplan et al. 2020, arXiv
2001.08361, section 2.1: 2 N forward, 4 N backward); with an adapter the gradients of the frozen weights fall away,
which leaves 4 N. Time of reading: 2 N a token. Time of writing: every step of a batch reads all weights once, so that
it is bound by memory bandwidth. Peak rates are those of the makers' data sheets (dense bf16); the shares of them that
are reached, the tokens of an item and the share of its limit that an answer takes are assumptions, stated here. They
tell a day from a month.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from suture.study.graph import Step

TRAINS, READS, STREAMS = 0.35, 0.40, 0.50  # shares of the peak that are reached
WRITTEN = 0.6  # share of its limit that an answer takes
PACKED, PADDED = 1.0, 0.4  # share of the longest sequence that is full: plain texts; records, measured on MTS-Dialog
BYTES = 2  # a weight in bf16
# Tokens that are read for an item, measured on samples or, where no data are open, taken from the data's description.
READ: Mapping[str, int] = MappingProxyType({
    "contrast": 480, "ifeval": 60, "ifbench": 80, "clinic_summary": 200, "mts_section": 200, "mts_likelihood": 60,
    "medqa": 260, "medmcqa": 80, "pubmedqa": 380, "mts_dialog": 200, "aci_bench": 1700, "open_i": 80, "mimic_cxr": 120,
    "mimic_bhc": 2500, "primock57": 1800, "mtsamples_course": 700, "mtsamples_impression": 400, "gsm8k": 80,
})  # fmt: skip
READ_ELSE = 250


@dataclass(frozen=True, slots=True)
class Device:
    """An accelerator: peak operations a second in dense bf16, and bytes of its memory read a second."""

    name: str
    peak: float
    bandwidth: float


DEVICES: Mapping[str, Device] = MappingProxyType({
    "a100": Device("A100 80 GB", 312e12, 2.04e12),
    "h100": Device("H100 SXM", 989e12, 3.35e12),
    "l40s": Device("L40S", 362e12, 0.864e12),
    "rtx4090": Device("RTX 4090", 165e12, 1.01e12),
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Work:
    """Tokens of one step: trained, read, written in answers. passes: operations a parameter and token of training."""

    trained: float = 0.0
    read: float = 0.0
    written: float = 0.0
    passes: float = 6.0


def work_of(step: Step, limits: Mapping[str, int]) -> Work:
    """Return the tokens of a step, nothing for one that runs no model. limits: the longest answer of each task."""
    about = step.parameters
    if step.kind in ("train", "adapt"):
        return _training(about, packed=step.kind == "train")
    if step.kind == "evaluate":
        runs: Mapping[str, Mapping[str, Any]] = about["tasks"]
        asked = {task: run["n"] or 200 for task, run in runs.items()}
        before = about["examples"]["shots"] if "examples" in about else 0  # read again for every item
        read = sum(n * (1 + before) * _read(task) for task, n in asked.items())
        return Work(read=read, written=sum(n * WRITTEN * limits.get(task, 0) for task, n in asked.items()))
    return Work()


def hours(work: Work, parameters: float, device: Device, batch: int) -> float:
    """Return the hours of `work` on `device` with models of so many parameters, `batch` answers written at once."""
    train = work.passes * parameters * work.trained / (device.peak * TRAINS)
    read = 2 * parameters * work.read / (device.peak * READS)
    write = work.written / batch * BYTES * parameters / (device.bandwidth * STREAMS)
    return (train + read + write) / 3600


def adapter_parameters(parameters: float, rank: int, targets: str) -> float:
    """Return about how many parameters a low-rank adapter has, from the shape that a decoder of that size usually has.

    12 d^2 of them a layer and a width d of 128 times the layers; 8 d a layer and rank on the attention, 23 d on all
    linear layers.
    """
    width = float((parameters * 128 / 12) ** (1 / 3))
    return (8 if targets == "attention" else 23) * width * rank * width / 128


def _training(about: Mapping[str, Any], *, packed: bool) -> Work:
    settings = about["settings"]
    full = PACKED if packed and about.get("learn") in ("notes", "texts") else PADDED
    tokens = settings["steps"] * settings["batch"] * settings.get("accumulate", 1) * settings["length"] * full
    passes = (4 if settings["lora_rank"] else 6) + (2 if settings.get("checkpointing") else 0)
    return Work(trained=tokens, passes=passes)


def _read(task: str) -> int:
    return READ.get(task) or next((n for name, n in READ.items() if task.startswith(f"{name}_")), READ_ELSE)
