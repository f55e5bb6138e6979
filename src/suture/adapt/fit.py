"""Updates a loaded model on token sequences: AdamW on the answer's cross-entropy, silent, offline, reproducible.

Runs on transformers' Trainer. TRL's SFTTrainer is not used: as of 1.16 it reports each run to the hub unless the
process began offline, and on a CPU it multiplies every position by the output head, twice, where here only those do
that are learnt, once (a fifth of the arithmetic of a small model stands in its head).
"""

from __future__ import annotations

import contextlib
import tempfile
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from suture.adapt.processes import ALONE, Processes
from suture.adapt.sequences import Example
from suture.adapt.settings import Settings
from suture.adapt.trainer import ADVICE, run
from suture.errors import NumericError, Problem, UsageError

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
    processes: Processes = ALONE,
) -> Fitted:
    """Train the transformers `model`, with settings.lora_rank by an adapter on it.

    development: what early stopping looks at (settings.patience). work: a folder in which the run's state is kept every
    `save_every` steps; a run that was killed goes on from there and ends with the same weights. The same call on the
    same machine's CPU gives the same weights. processes: that train together, each with all examples and `work`; what
    early stopping kept stands in the model of the leading one. Raises NumericError where a loss or a weight is not
    finite.
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
        every = save_every if work is not None else 0
        try:
            losses, watch = run(
                trained, examples, settings, Path(place), development=development, save_every=every, processes=processes
            )
        except NumericError as error:  # which every process meets at the same step
            raise processes.agreed(error) from None
    processes.lead(lambda: _check_weights(trained))
    return Fitted(trained, losses, watch.seen, watch.best if settings.patience else len(losses))


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


def _check_weights(model: Any) -> None:
    bad = [name for name, tensor in model.state_dict().items() if not tensor.isfinite().all()]
    if bad:
        raise NumericError(Problem("Every weight must be finite.", f"{len(bad)} tensors that are not", bad[0], ADVICE))
