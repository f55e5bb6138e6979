"""The training loop: transformers' Trainer on answers, alone or on one of several processes, watched and kept."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from suture.adapt.early import Watch, watcher
from suture.adapt.loss import answer_loss, collate, mean_loss
from suture.adapt.processes import Processes, without_accelerator
from suture.adapt.resume import best_weights, keeper, unfinished, writing
from suture.adapt.sequences import Example
from suture.adapt.settings import Settings
from suture.adapt.shares import portions, shares
from suture.errors import NumericError, Problem
from suture.events import track

ADVICE = "Lower the learning rate."


def run(
    model: Any,
    examples: Sequence[Example],
    settings: Settings,
    place: Path,
    *,
    development: Sequence[Example],
    save_every: int,
    processes: Processes,
) -> tuple[list[float], Watch]:
    """Update `model` in place; return the loss of every update, and what early stopping saw (see `suture.adapt.fit`).

    save_every: updates between two states kept in `place`, 0 for none. The best weights, if any were kept, stand in the
    model of the leading process alone. Raises NumericError on every process where a loss on any of them is not finite.
    """
    import torch
    import transformers

    losses: list[float] = []  # of every update
    batches: list[float] = []  # of the update that is being computed
    watch = Watch()
    shared = processes.count > 1

    class AnswerTrainer(transformers.Trainer):  # type: ignore[misc]
        """Computes logits only at positions where some sequence of the batch has a token to learn."""

        def compute_loss(self, model: Any, inputs: Any, **_: Any) -> Any:
            weight = inputs.pop("weight", None)
            device = inputs["input_ids"].device.type
            with torch.autocast(device, torch.bfloat16, enabled=settings.autocast == "bfloat16"):
                loss = answer_loss(model, inputs)
            loss = loss if weight is None else loss * weight
            batches.append(processes.mean(loss))
            if not math.isfinite(batches[-1]):
                step = f"step {len(losses) + 1}"
                raise NumericError(Problem("The loss must be finite.", str(batches[-1]), step, ADVICE))
            return loss

        def _save_checkpoint(self, *words: Any, **named: Any) -> None:
            def save() -> None:
                with writing(place / "checkpoint"):
                    super(AnswerTrainer, self)._save_checkpoint(*words, **named)

            processes.together(save)

        def get_train_dataloader(self) -> Any:
            return _shared_out(examples, settings, processes) if shared else super().get_train_dataloader()

    class Progress(transformers.TrainerCallback):  # type: ignore[misc]
        def on_step_end(self, *_: Any, **__: Any) -> None:
            losses.append(sum(batches) / len(batches))
            batches.clear()
            advance(1)

    found = processes.lead(lambda: unfinished(place)) if save_every else None
    if found is not None:
        losses[:] = found.losses
        watch.seen[:], watch.best = found.seen, found.best
        watch.weights = best_weights(found.folder) if processes.leads else {}
    callbacks: list[Any] = [Progress()]
    if development:
        callbacks.append(
            watcher(watch, lambda: mean_loss(model, development, settings, processes), model, settings, processes.leads)
        )
    if save_every:
        callbacks.append(keeper(losses, watch, processes))
    trainer = AnswerTrainer(
        model,
        _arguments(model, settings, place, save_every, processes),
        data_collator=collate,
        train_dataset=examples,
        callbacks=callbacks,
    )
    trainer.model_accepts_loss_kwargs = False  # else the losses of accumulated batches are added, not averaged
    trainer.remove_callback(transformers.trainer_callback.PrinterCallback)
    if not processes.leads:
        torch.manual_seed(settings.seed + (processes.rank << 32))  # dropout of its own; DDP has sent the same weights
    with track("training", settings.steps, "steps") as advance:
        advance(len(losses)) if found else None
        trainer.train(resume_from_checkpoint=str(found.folder) if found else None)
    watch.restore(model)
    return losses, watch


def _arguments(model: Any, settings: Settings, place: Path, save_every: int, processes: Processes) -> Any:
    import transformers

    batch, accumulate = portions(settings, processes.count)
    shared: dict[str, Any] = {}
    if processes.count > 1:
        # An expert that no token of a batch is sent to has no gradient; else every trained weight has one.
        routed = any(".experts." in name for name, tensor in model.named_parameters() if tensor.requires_grad)
        shared = {"ddp_find_unused_parameters": routed, "use_cpu": without_accelerator()}
    arguments = transformers.TrainingArguments(
        output_dir=str(place),
        max_steps=settings.steps,
        per_device_train_batch_size=batch,
        gradient_accumulation_steps=accumulate,
        learning_rate=settings.learning_rate,
        warmup_steps=settings.warmup,
        weight_decay=settings.weight_decay,
        adam_beta1=settings.betas[0],
        adam_beta2=settings.betas[1],
        lr_scheduler_type=settings.schedule,
        optim="adamw_torch_fused",
        seed=settings.seed,
        save_strategy="steps" if save_every else "no",
        save_steps=save_every or 1,
        save_total_limit=2,  # the last one may be half written
        logging_strategy="no",
        report_to="none",
        disable_tqdm=True,
        log_level="error",
        log_level_replica="error",
        dataloader_pin_memory=False,
        remove_unused_columns=False,
        **shared,
    )
    arguments.mixed_precision = "no"  # the settings say it (autocast), not a launcher's configuration
    if arguments.n_gpu > 1:
        arguments._n_gpu = 1  # several without a launcher: the Trainer would take a batch for each of them
    return arguments


@dataclass(frozen=True, slots=True)
class _Weighted:
    """Examples by (position, weight of its share), as the shares name them."""

    examples: Sequence[Example]

    def __len__(self) -> int:
        return len(self.examples)

    def __getitem__(self, key: tuple[int, float]) -> tuple[Example, float]:
        return self.examples[key[0]], key[1]


class _ShareSampler:
    """One pass after another of this process's shares, in the order in which one process alone would see the data."""

    def __init__(self, examples: Sequence[Example], settings: Settings, processes: Processes) -> None:
        from accelerate.data_loader import SeedableRandomSampler

        self._learnt = [len(example.tokens) - max(1, example.start) for example in examples]
        self._settings = settings
        self._processes = processes
        self._order = SeedableRandomSampler(range(len(examples)), data_seed=settings.seed)

    @property
    def batch_sampler(self) -> _ShareSampler:
        """Itself: the Trainer numbers the passes of the sampler that a loader's sampler wraps."""
        return self

    def set_epoch(self, epoch: int) -> None:
        """Make the next pass that of number `epoch`."""
        self._order.set_epoch(epoch)

    def __iter__(self) -> Iterator[list[tuple[int, float]]]:
        for share in self._shares(list(self._order)):
            yield [(position, share.weight) for position in share.sequences]

    def __len__(self) -> int:
        return len(self._shares(range(len(self._learnt))))

    def _shares(self, order: Sequence[int]) -> Any:
        return shares(order, self._learnt, self._settings, self._processes.count, self._processes.rank)


def _shared_out(examples: Sequence[Example], settings: Settings, processes: Processes) -> Any:
    import torch

    def weighted(rows: Sequence[tuple[Example, float]]) -> dict[str, Any]:
        return collate([example for example, _ in rows]) | {"weight": torch.tensor(rows[0][1])}

    return torch.utils.data.DataLoader(
        _Weighted(examples),  # type: ignore[arg-type]
        batch_sampler=_ShareSampler(examples, settings, processes),
        collate_fn=weighted,
    )
