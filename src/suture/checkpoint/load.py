"""Loads a checkpoint folder as a transformers model that runs; never executes code from the folder."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

from suture.checkpoint.header import read_checkpoint
from suture.checkpoint.template import bound_templates
from suture.errors import BadInputError, IncompatibleError, Problem


def load_model(path: Path, *, dtype: str = "float32", device: str = "cpu") -> tuple[Any, Any]:
    """Return (model, tokenizer) of the folder `path`, in eval mode, padding on the left.

    The headers are checked first. Weights are cloned out of the file's memory map: arithmetic on mapped pages is a
    fifth slower, and a model in use must not change when its file does. Renderings of its chat template are bounded.
    Of a vision-language model, it is the whole that is loaded; it runs on text alone. Raises BadInputError for a
    malformed folder, an adapter beside the model, or a chat template that does not end; IncompatibleError for a model
    that does not go on with a text, such as an encoder-decoder.
    """
    import torch

    read_checkpoint(path)
    if (path / "adapter_config.json").exists():  # transformers would put the adapter on, and run other weights
        do = "Move the adapter away, or join it with the model first (peft's merge_and_unload)."
        raise BadInputError(Problem("A model folder must hold one model.", "an adapter beside it", str(path), do))
    with quiet_transformers():
        model = _class_for(path).from_pretrained(
            str(path),
            dtype=getattr(torch, dtype),
            local_files_only=True,
            trust_remote_code=False,
            use_safetensors=True,
        )
    tokenizer = load_tokenizer(path)
    model.load_state_dict({name: tensor.clone() for name, tensor in model.state_dict().items()}, assign=True)
    model.tie_weights()
    return model.to(device).eval(), tokenizer


def load_tokenizer(path: Path) -> Any:
    """Return the tokenizer of the folder `path`, padding on the left; renderings of its chat template are bounded."""
    import transformers

    with quiet_transformers():
        tokenizer = transformers.AutoTokenizer.from_pretrained(
            str(path), local_files_only=True, trust_remote_code=False, padding_side="left"
        )
    bound_templates(tokenizer, str(path))
    return tokenizer


def _class_for(path: Path) -> Any:
    """The auto class of transformers that has a decoder for the model's config."""
    import transformers

    config = transformers.AutoConfig.from_pretrained(str(path), local_files_only=True, trust_remote_code=False)
    if type(config) in transformers.MODEL_FOR_CAUSAL_LM_MAPPING:
        return transformers.AutoModelForCausalLM
    if type(config) in transformers.MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING:
        return transformers.AutoModelForImageTextToText
    must = "A model that runs must go on with a text: a decoder, with or without images."
    advice = "Such models can be merged; adapting and evaluating them is not supported."
    raise IncompatibleError(Problem(must, str(config.model_type), str(path), advice))


@contextlib.contextmanager
def quiet_transformers() -> Any:
    """Silence the progress bars and notices of transformers while the block runs."""
    from transformers.utils import logging

    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()
