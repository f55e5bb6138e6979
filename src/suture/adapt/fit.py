"""Updates a loaded model on token sequences: AdamW on the answer's cross-entropy, silent, offline, reproducible.

Runs on transformers' Trainer. TRL's SFTTrainer is not used: as of 1.16 it reports each run to the hub unless the
process began offline, and on a CPU it multiplies every position by the output head, twice, where here only those do
that are learnt, once (a fifth of the arithmetic of a small model stands in its head).
"""

from __future__ import annotations

import contextlib
import math
import tempfile
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from suture.adapt.early import Watch, watcher
from suture.adapt.resume import keeper, unfinished
from suture.adapt.sequences import IGNORED, Example
from suture.adapt.settings import Settings
from suture.errors import NumericError, Problem, UsageError
from suture.events import track

ADVICE = "Lower the learning rate."
ATTENTION = ("q_proj", "k_proj", "v_proj", "o_proj", "qkv_proj", "query_key_value", "c_attn", "out_proj", "dense")


class Fitted(NamedTuple):
    """A trained model, still with its adapter where it has one; loss of each step in nats a learnt token.

    development: (step, mean loss) of each evaluation. best: the step whose weights were kept.
    """

    model: Any
    losses: list[float]
    development: list[tuple[int, float]]
    best: int


def fit(
    model: Any,
    examples: Sequence[Example],
    settings: Settings,
    *,
    development: Sequence[Example] = (),
    work: Path | None = None,
    save_every: int = 20,
) -> Fitted:
    """Train the transformers `model`, with settings.lora_rank by an adapter on it.

    development: what early stopping looks at (settings.patience). work: a folder in which the run's state is kept every
    `save_every` steps; a run that was killed goes on from there and ends with the same weights. The same call on the
    same machine's CPU gives the same weights. Raises NumericError where a loss or a weight is not finite.
    """
    import transformers

    if settings.patience and not development:
        raise UsageError(Problem("Early stopping needs development records.", "none", "patience"))
    transformers.set_seed(settings.seed)
    trained = model if settings.lora_rank is None else _adapter(model, settings)
    _freeze(trained, settings.frozen_layers)
    if settings.checkpointing:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # its name changes with transformers 6
            trained.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    with contextlib.ExitStack() as stack:
        place = stack.enter_context(tempfile.TemporaryDirectory()) if work is None else str(work)
        found = _run(trained, examples, settings, Path(place), development, save_every if work is not None else 0)
    _check_weights(found.model)
    return found


def whole(fitted: Fitted) -> Any:
    """Return the model with the adapter merged into its weights, in eval mode."""
    model = fitted.model.merge_and_unload() if hasattr(fitted.model, "merge_and_unload") else fitted.model
    return model.eval()


def _adapter(model: Any, settings: Settings) -> Any:
    import peft

    linear = {name.rpartition(".")[2] for name, module in model.named_modules() if "Linear" in type(module).__name__}
    targets: Any = "all-linear" if settings.lora_targets == "all-linear" else sorted(linear & set(ATTENTION))
    if not targets:
        must = f"An adapter on the attention needs layers called {', '.join(ATTENTION)}."
        raise UsageError(Problem(must, ", ".join(sorted(linear)), "lora_targets", "Use all-linear."))
    config = peft.LoraConfig(
        task_type="CAUSAL_LM",
        target_modules=targets,
        r=settings.lora_rank,
        lora_alpha=settings.lora_alpha,
        lora_dropout=settings.lora_dropout,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # of transformers, to peft
        return peft.get_peft_model(model, config)


def _freeze(model: Any, layers: int) -> None:
    """Keep the embeddings and the lowest decoder layers as they are; a tied head is an embedding."""
    if not layers:
        return
    decoder = getattr(model, "base_model", model).get_decoder()
    if layers > len(decoder.layers):
        must = f"frozen_layers must be in [0, {len(decoder.layers)}], the number of decoder layers."
        raise UsageError(Problem(must, str(layers), "adapt settings"))
    for module in (model.get_input_embeddings(), *decoder.layers[:layers]):
        module.requires_grad_(False)


def _run(
    model: Any,
    examples: Sequence[Example],
    settings: Settings,
    place: Path,
    development: Sequence[Example],
    save_every: int,
) -> Fitted:
    import torch
    import transformers

    losses: list[float] = []  # of every batch; accumulated ones are averaged at the end
    watch = Watch()

    class AnswerTrainer(transformers.Trainer):  # type: ignore[misc]
        """Computes logits only at positions where some sequence of the batch has a token to learn."""

        def compute_loss(self, model: Any, inputs: Any, **_: Any) -> Any:
            device = inputs["input_ids"].device.type
            with torch.autocast(device, torch.bfloat16, enabled=settings.autocast == "bfloat16"):
                loss = answer_loss(model, inputs)
            losses.append(loss.item())
            if not math.isfinite(losses[-1]):
                step = 1 + (len(losses) - 1) // settings.accumulate
                raise NumericError(Problem("The loss must be finite.", str(losses[-1]), f"step {step}", ADVICE))
            return loss

    class Progress(transformers.TrainerCallback):  # type: ignore[misc]
        def on_step_end(self, *_: Any, **__: Any) -> None:
            advance(1)

    resumed = unfinished(place, losses, watch, settings.accumulate) if save_every else None
    callbacks: list[Any] = [Progress()]
    if development:
        callbacks.append(watcher(watch, lambda: mean_loss(model, development, settings), model, settings))
    if save_every:
        callbacks.append(keeper(losses, watch))
    trainer = AnswerTrainer(
        model,
        _arguments(settings, place, save_every),
        data_collator=collate,
        train_dataset=examples,
        callbacks=callbacks,
    )
    trainer.model_accepts_loss_kwargs = False  # else the losses of accumulated batches are added, not averaged
    trainer.remove_callback(transformers.trainer_callback.PrinterCallback)
    with track("training", settings.steps, "steps") as advance:
        advance(len(losses) // settings.accumulate) if resumed else None
        trainer.train(resume_from_checkpoint=resumed)
    watch.restore(model)
    per = settings.accumulate
    means = [sum(losses[at : at + per]) / per for at in range(0, len(losses), per)]
    return Fitted(model, means, watch.seen, watch.best if settings.patience else len(means))


def _arguments(settings: Settings, place: Path, save_every: int) -> Any:
    import transformers

    return transformers.TrainingArguments(
        output_dir=str(place),
        max_steps=settings.steps,
        per_device_train_batch_size=settings.batch,
        gradient_accumulation_steps=settings.accumulate,
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
        dataloader_pin_memory=False,
        remove_unused_columns=False,
    )


def mean_loss(model: Any, examples: Sequence[Example], settings: Settings) -> float:
    """Return the mean over `examples` of the answer's cross-entropy in nats a token, without training."""
    import torch

    was, total = model.training, 0.0
    model.eval()
    with torch.no_grad():
        for start in range(0, len(examples), settings.batch):
            part = examples[start : start + settings.batch]
            batch = {name: tensor.to(model.device) for name, tensor in collate(part).items()}
            total += answer_loss(model, batch).item() * len(part)
    model.train(was)
    return total / len(examples)


def collate(examples: Sequence[Example]) -> dict[str, Any]:
    """Pad `examples` on the right to tensors of shape (batch, longest): input_ids, attention_mask, labels.

    Labels are masked by position, never by id: the padding id is often the stop token, which must be learnt.
    """
    import torch

    def padded(rows: list[torch.Tensor], fill: int) -> torch.Tensor:
        return torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=fill)

    tokens = [torch.tensor(example.tokens) for example in examples]
    labels = [row.clone() for row in tokens]
    for row, example in zip(labels, examples, strict=True):
        row[: example.start] = IGNORED
    return {
        "input_ids": padded(tokens, 0),
        "attention_mask": padded([torch.ones_like(row) for row in tokens], 0),
        "labels": padded(labels, IGNORED),
    }


def answer_loss(model: Any, batch: dict[str, Any]) -> Any:
    """Return the mean cross-entropy in nats over the labelled tokens of `batch` (see `collate`), a scalar tensor."""
    import torch

    labels = batch["labels"][:, 1:]
    kept = (labels != IGNORED).any(0).nonzero()[:, 0]
    logits = model(
        input_ids=batch["input_ids"], attention_mask=batch["attention_mask"], logits_to_keep=kept, use_cache=False
    ).logits
    return torch.nn.functional.cross_entropy(
        logits.flatten(0, 1).float(), labels[:, kept].flatten(), ignore_index=IGNORED
    )


def _check_weights(model: Any) -> None:
    bad = [name for name, tensor in model.state_dict().items() if not tensor.isfinite().all()]
    if bad:
        raise NumericError(Problem("Every weight must be finite.", f"{len(bad)} tensors that are not", bad[0], ADVICE))
