"""Settings of one training run: what is written into training.json beside the weights."""

from __future__ import annotations

from dataclasses import dataclass

from suture.errors import Problem, UsageError, refuse


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How a model is trained.

    steps: updates, >= 1. batch: sequences an update, >= 1. length: longest sequence in tokens, >= 8.
    learning_rate: peak of AdamW, > 0, reached linearly after `warmup` updates, then falling linearly to 0.
    weight_decay: >= 0, a step and unit of learning rate. seed: order of the data, dropout, first values of the adapter.
    lora_rank: None trains every weight; else a low-rank adapter on every linear layer but the head (Hu et al. 2021,
    arXiv 2106.09685) with scale lora_alpha / lora_rank and dropout lora_dropout in [0, 1), merged into the weights.

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
        )
        refuse(
            UsageError,
            [
                Problem(f"{name} must be {demand}.", repr(getattr(self, name)), "adapt settings")
                for name, holds, demand in demands
                if not holds
            ],
        )
