"""Early stopping: looks at the development records every few updates, remembers the best weights, says when to end."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from suture.adapt.settings import Settings
from suture.errors import NumericError, Problem


@dataclass(slots=True)
class Watch:
    """What was seen so far: (step, loss) in order, the best step (0 for none), its trainable weights, on the CPU."""

    seen: list[tuple[int, float]] = field(default_factory=list)
    best: int = 0
    weights: dict[str, Any] = field(default_factory=dict)

    def look(self, step: int, loss: float, model: Any, *, keep: bool = True) -> None:
        """Note one evaluation; a loss that is lower than all before makes the weights of now the best.

        keep: whether to copy them.
        """
        if not math.isfinite(loss):
            raise NumericError(Problem("The development loss must be finite.", str(loss), f"step {step}"))
        if not self.seen or loss < min(value for _, value in self.seen):
            self.best = step
            trained = [(name, tensor) for name, tensor in model.named_parameters() if tensor.requires_grad]
            self.weights = {name: tensor.detach().cpu().clone() for name, tensor in trained} if keep else {}
        self.seen.append((step, loss))

    def waited(self) -> int:
        """Return how many evaluations there were since the best one."""
        return len(self.seen) - 1 - [step for step, _ in self.seen].index(self.best) if self.seen else 0

    def restore(self, model: Any) -> None:
        """Put the best weights back into the model, where there are any."""
        import torch

        parameters = dict(model.named_parameters())
        with torch.no_grad():
            for name, values in self.weights.items():
                parameters[name].copy_(values)


def watcher(watch: Watch, loss: Callable[[], float], model: Any, settings: Settings, keep: bool = True) -> Any:
    """Return a Trainer callback that evaluates every settings.evaluate_every updates and at the last one.

    Without settings.patience it only looks: nothing is restored and nothing ends early. keep: whether this process
    copies the best weights; one of several does.
    """
    import transformers

    class Watcher(transformers.TrainerCallback):  # type: ignore[misc]
        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            step = state.global_step
            if step % settings.evaluate_every and step < settings.steps:
                return
            watch.look(step, loss(), model, keep=keep and settings.patience > 0)
            if settings.patience and watch.waited() >= settings.patience:
                control.should_training_stop = True

    return Watcher()
