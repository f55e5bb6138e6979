"""The loss of answers: sequences padded to a batch, and the cross-entropy of the tokens that are to be learnt."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from suture.adapt.processes import ALONE, Processes
from suture.adapt.sequences import IGNORED, Example
from suture.adapt.settings import Settings


def mean_loss(model: Any, examples: Sequence[Example], settings: Settings, processes: Processes = ALONE) -> float:
    """Return the mean over `examples` of the answer's cross-entropy in nats a token, without training.

    Several processes share the batches out; all of them return the same number.
    """
    import torch

    was = model.training
    mine: dict[int, float] = {}
    model.eval()
    with torch.no_grad():
        for start in range(0, len(examples), settings.batch)[processes.rank :: processes.count]:
            part = examples[start : start + settings.batch]
            batch = {name: tensor.to(model.device) for name, tensor in collate(part).items()}
            mine[start] = answer_loss(model, batch).item() * len(part)
    model.train(was)
    found = {start: loss for part in processes.gather(mine) for start, loss in part.items()}
    return sum(found[start] for start in sorted(found)) / len(examples)


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
