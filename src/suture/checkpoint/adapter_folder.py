"""PEFT adapter folders, read strictly: config and header, and which kinds of adapter are a delta on stored weights."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from suture.checkpoint.folder import PICKLE_ADVICE, inside, read_small
from suture.checkpoint.header import Checkpoint, read_header, stamp
from suture.checkpoint.strict_json import StrictJsonError, parse_object
from suture.errors import BadInputError, Problem, refuse

CONFIG_NAME, WEIGHTS_NAME = "adapter_config.json", "adapter_model.safetensors"
PATTERN_LENGTH = 300

_UNSUPPORTED = {
    "target_parameters": "adapters on parameters that are no layer's own",
    "layer_replication": "adapters on replicated layers",
    "use_qalora": "QALoRA",
    "use_bdlora": "block-diagonal LoRA",
    "alora_invocation_tokens": "activated LoRA, which depends on the prompt",
    "kasa_config": "KaSA",
    "monteclora_config": "MonteCLoRA",
    "arrow_config": "Arrow routing",
    "velora_config": "VeLoRA",
}
_REBASING = ("pissa", "olora", "corda", "loftq", "lora_ga")


def is_adapter(folder: Path) -> bool:
    """Whether a folder says that it is a PEFT adapter."""
    return (folder / CONFIG_NAME).is_file()


def read_adapter(folder: Path) -> Checkpoint:
    """Read config and header of the adapter `folder`; its `config` is adapter_config.json.

    Raises BadInputError: no folder, no or unreadable config, pickled or malformed weights, a kind that is not LoRA.
    """
    where = str(folder)
    if not folder.is_dir():
        raise BadInputError(Problem("An adapter must be a folder.", "no such folder", where, "Check the path."))
    config = _config(folder)
    problems = list(_kind_problems(config, str(folder / CONFIG_NAME)))
    file = folder / WEIGHTS_NAME
    if not file.is_file():
        pickles = [name for name in ("adapter_model.bin", "adapter_model.pt") if (folder / name).is_file()]
        got = f"a pickle ({pickles[0]})" if pickles else "none"
        advice = PICKLE_ADVICE if pickles else "Check the path."
        problems.append(Problem(f"An adapter must hold {WEIGHTS_NAME}.", got, where, advice))
    refuse(BadInputError, problems)
    file = inside(folder, WEIGHTS_NAME)
    before = stamp(file.stat())
    tensors = {info.name: info for info in read_header(file)}
    return Checkpoint(folder, MappingProxyType(tensors), MappingProxyType(config), (file,), (before,))


def _config(folder: Path) -> dict[str, Any]:
    if not (folder / CONFIG_NAME).is_file():
        raise BadInputError(Problem(f"An adapter must hold {CONFIG_NAME}.", "none", str(folder), "Check the path."))
    try:
        return parse_object(read_small(folder, CONFIG_NAME), constants=True)
    except StrictJsonError as error:
        where = str(folder / CONFIG_NAME)
        raise BadInputError(Problem(f"{CONFIG_NAME} must be a JSON object.", str(error), where)) from None


def _kind_problems(config: Mapping[str, Any], where: str) -> Iterator[Problem]:
    if config.get("peft_type") != "LORA":
        yield Problem("peft_type must be LORA (rsLoRA and DoRA among it).", repr(config.get("peft_type"))[:60], where)
    for key, what in _UNSUPPORTED.items():
        if config.get(key):
            yield Problem(f"{key} must be off.", what, where, "Merge it with PEFT, and name the merged model.")
    start = config.get("init_lora_weights")
    if isinstance(start, str) and start.lower().startswith(_REBASING):
        advice = "Save it with path_initial_model_for_weight_conversion, which makes a plain LoRA of it."
        got = f"init_lora_weights {start[:40]}, which changed the base as well"
        yield Problem("An adapter must be a delta on the stored base.", got, where, advice)
    if isinstance(config.get("r"), bool) or not isinstance(config.get("r"), int):
        yield Problem("r must be a whole number.", repr(config.get("r"))[:60], where)
    for key in ("rank_pattern", "alpha_pattern"):
        patterns = config.get(key)
        if patterns is not None and not isinstance(patterns, dict):
            yield Problem(f"{key} must be an object.", type(patterns).__name__, where)
        for pattern in patterns if isinstance(patterns, dict) else ():
            if not _valid(pattern):
                yield Problem(f"{key} must hold regular expressions.", repr(pattern)[:60], where)


def _valid(pattern: str) -> bool:
    try:
        re.compile(pattern)
    except (re.error, RecursionError, OverflowError):
        return False
    return len(pattern) <= PATTERN_LENGTH
