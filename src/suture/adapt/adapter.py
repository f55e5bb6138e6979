"""Writes a trained adapter as an ordinary PEFT folder, whole or not at all."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from suture.checkpoint.adapter import CONFIG_NAME, WEIGHTS_NAME
from suture.checkpoint.spool import spooled_folder


def save_adapter(model: Any, base_name: str, files: Mapping[str, bytes], out: Path) -> None:
    """Write the adapter of the PEFT `model` to the new folder `out`: fp32 factors, its configuration, and `files`.

    base_name: what adapter_config.json calls the base. Raises OutputExistsError and ResourceError as a merge does.
    """
    import peft

    config = model.peft_config["default"].to_dict() | {"base_model_name_or_path": base_name, "inference_mode": True}
    written = {CONFIG_NAME: (json.dumps(config, indent=2, sort_keys=True, default=_plain) + "\n").encode(), **files}
    with spooled_folder(out, WEIGHTS_NAME, written) as spool:
        for name, tensor in sorted(peft.get_peft_model_state_dict(model).items()):
            spool.add(name, tensor.detach().cpu().float().numpy())


def _plain(value: Any) -> Any:
    return sorted(value) if isinstance(value, set | frozenset) else str(getattr(value, "value", value))
