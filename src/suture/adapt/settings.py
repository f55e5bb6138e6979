"""Settings of one training run: what is written into training.json beside the weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from suture.errors import Problem, UsageError, refuse


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How a model is trained.

    steps: updates, >= 1. batch: sequences in memory at once, >= 1; an update takes `accumulate` times as many.
    length: longest sequence in tokens, >= 8.
    learning_rate: peak of AdamW, > 0, reached linearly after `warmup` updates, then falling to 0 along `schedule`.
    weight_decay: >= 0, a step and unit of learning rate. betas: of AdamW, each in [0, 1). seed: order of the data,
    dropout, first values of the adapter.
    lora_rank: None trains every weight; else a low-rank adapter (Hu et al. 2021, arXiv 2106.09685) on `lora_targets`,
    every linear layer but the head or the attention's, with scale lora_alpha / lora_rank and dropout lora_dropout in
    [0, 1). frozen_layers: so many of the lowest decoder layers, and the embeddings, stay as they are; 0: none.
    checkpointing: keep fewer activations and compute them again. autocast: "bfloat16" computes in it, weights stay
    fp32.
    patience: end after so many evaluations on the development records without a gain, and keep the best weights; 0
    trains all steps and keeps the last. evaluate_every: updates between two evaluations, >= 1.

    Raises UsageError naming every value out of range.
    """

    steps: int
    batch: int
    length: int
    learning_rate: float
    warmup: int = 0
    weight_decay: float = 0.0
    seed: int = 0
    lora_rank: int | None = None
    lora_alpha: float = 16.0
    lora_dropout: float = 0.0
    schedule: Literal["linear", "cosine"] = "linear"
    betas: tuple[float, float] = (0.9, 0.999)
    lora_targets: Literal["all-linear", "attention"] = "all-linear"
    frozen_layers: int = 0
    accumulate: int = 1
    checkpointing: bool = False
    autocast: Literal["none", "bfloat16"] = "none"
    patience: int = 0
    evaluate_every: int = 8

    def __post_init__(self) -> None:
        demands = (
            ("steps", self.steps >= 1, "an integer >= 1"),
            ("batch", self.batch >= 1, "an integer >= 1"),
            ("length", self.length >= 8, "an integer >= 8"),
            ("learning_rate", self.learning_rate > 0, "a number > 0"),
            ("warmup", 0 <= self.warmup < self.steps, "an integer in [0, steps)"),
            ("weight_decay", self.weight_decay >= 0, "a number >= 0"),
            ("seed", 0 <= self.seed < 2**32, "an integer in [0, 2^32)"),
            ("lora_rank", self.lora_rank is None or self.lora_rank >= 1, "an integer >= 1, or null"),
            ("lora_alpha", self.lora_alpha > 0, "a number > 0"),
            ("lora_dropout", 0 <= self.lora_dropout < 1, "a number in [0, 1)"),
            ("schedule", self.schedule in ("linear", "cosine"), "linear or cosine"),
            ("betas", len(self.betas) == 2 and all(0 <= beta < 1 for beta in self.betas), "two numbers in [0, 1)"),
            ("lora_targets", self.lora_targets in ("all-linear", "attention"), "all-linear or attention"),
            ("frozen_layers", self.frozen_layers >= 0, "an integer >= 0"),
            ("accumulate", self.accumulate >= 1, "an integer >= 1"),
            ("autocast", self.autocast in ("none", "bfloat16"), "none or bfloat16"),
            ("patience", self.patience >= 0, "an integer >= 0"),
            ("evaluate_every", self.evaluate_every >= 1, "an integer >= 1"),
        )
        refuse(
            UsageError,
            [
                Problem(f"{name} must be {demand}.", repr(getattr(self, name)), "adapt settings")
                for name, holds, demand in demands
                if not holds
            ],
        )
