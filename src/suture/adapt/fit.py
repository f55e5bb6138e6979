"""Updates a loaded model on token sequences: AdamW on the answer's cross-entropy, silent, offline, reproducible.

Runs on transformers' Trainer. TRL's SFTTrainer is not used: as of 1.16 it reports each run to the hub unless the
process began offline, and on a CPU it multiplies every position by the output head, twice, where here only those do
that are learnt, once (a fifth of the arithmetic of a small model stands in its head).
"""

from __future__ import annotations

import math
import tempfile
import warnings
from collections.abc import Callable, Sequence
from typing import Any

from suture.adapt.sequences import IGNORED, Example
from suture.adapt.settings import Settings
from suture.errors import NumericError, Problem
from suture.events import track

ADVICE = "Lower the learning rate."


def fit(model: Any, examples: Sequence[Example], settings: Settings) -> tuple[Any, list[float]]:
    """Train the transformers `model` and return (model, loss of each step in nats a learnt token).

    With settings.lora_rank the returned model has the adapter merged into its weights. The same call on the same
    machine's CPU gives the same weights. Raises NumericError where a loss or a weight is not finite.
    """
    import transformers

    transformers.set_seed(settings.seed)
    trained = model if settings.lora_rank is None else _adapter(model, settings)
    with track("training", settings.steps, "steps") as advance, tempfile.TemporaryDirectory() as scratch:
        losses = _run(trained, examples, settings, scratch, advance)
    whole = trained if trained is model else trained.merge_and_unload()
    _check_weights(whole)
    return whole.eval(), losses


def _adapter(model: Any, settings: Settings) -> Any:
    import peft

    config = peft.LoraConfig(
        task_type="CAUSAL_LM",
        target_modules="all-linear",
        r=settings.lora_rank,
        lora_alpha=settings.lora_alpha,
        lora_dropout=settings.lora_dropout,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # of transformers, to peft
        return peft.get_peft_model(model, config)


def _run(
    model: Any, examples: Sequence[Example], settings: Settings, scratch: str, advance: Callable[[int], None]
) -> list[float]:
    import transformers

    losses: list[float] = []

    class AnswerTrainer(transformers.Trainer):  # type: ignore[misc]
        """Computes logits only at positions where some sequence of the batch has a token to learn."""

        def compute_loss(self, model: Any, inputs: Any, **_: Any) -> Any:
            loss = answer_loss(model, inputs)
            losses.append(loss.item())
            if not math.isfinite(losses[-1]):
                raise NumericError(Problem("The loss must be finite.", str(losses[-1]), f"step {len(losses)}", ADVICE))
            return loss

    class Progress(transformers.TrainerCallback):  # type: ignore[misc]
        def on_step_end(self, *_: Any, **__: Any) -> None:
            advance(1)

    arguments = transformers.TrainingArguments(
        output_dir=scratch,
        max_steps=settings.steps,
        per_device_train_batch_size=settings.batch,
        learning_rate=settings.learning_rate,
        warmup_steps=settings.warmup,
        weight_decay=settings.weight_decay,
        lr_scheduler_type="linear",
        optim="adamw_torch_fused",
        seed=settings.seed,
        save_strategy="no",
        logging_strategy="no",
        report_to="none",
        disable_tqdm=True,
        log_level="error",
        dataloader_pin_memory=False,
        remove_unused_columns=False,
    )
    trainer = AnswerTrainer(model, arguments, data_collator=collate, train_dataset=examples, callbacks=[Progress()])
    trainer.remove_callback(transformers.trainer_callback.PrinterCallback)
    trainer.train()
    return losses


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
