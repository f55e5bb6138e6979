"""BERTScore F1 in [0, 100], by the authors' library, with an encoder that lies on this machine.

Zhang et al. 2020, arXiv:1904.09675. Deviation: none. The number depends on the encoder and its layer more than on
anything else, so both stand in the signature. Nothing is fetched: the encoder is a folder.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from suture.checkpoint.digest import weights_digest
from suture.checkpoint.load import quiet_transformers
from suture.errors import BadInputError, MissingExtraError, Problem, SutureError, UsageError
from suture.evaluate.packaged import stay_offline

VARIABLE = "SUTURE_BERTSCORE_ENCODER"
ABSENT = f"needs an encoder: name its folder by --encoder or {VARIABLE}"
_LONGEST = 1_000_000  # a tokenizer that knows no limit says 10^30, on which the fast tokenizers fail


@dataclass(frozen=True, slots=True)
class Encoder:
    """An encoder in a folder, and the layer whose vectors are compared (None: the library's for its name)."""

    folder: Path
    layer: int | None = None


def find_encoder(folder: Path | None, layer: int | None = None) -> Encoder | None:
    """Return the encoder named by `folder`, else by the environment; None where neither names one."""
    named = folder or (Path(os.environ[VARIABLE]) if os.environ.get(VARIABLE) else None)
    if named is None:
        return None
    if not (named / "config.json").is_file():
        raise BadInputError(
            Problem("The BERTScore encoder must be a model folder.", "no config.json", str(named), "Check the path.")
        )
    if find_spec("bert_score") is None:
        raise MissingExtraError(
            Problem("BERTScore must be installed.", "no package bert_score", do="Run: pip install 'suture[bertscore]'")
        )
    return Encoder(named, _layer(named, layer))


def signature(encoder: Encoder) -> str:
    """Return library, version and settings."""
    libraries = f"bert_score {version('bert-score')}, transformers {version('transformers')}"
    which = f"encoder {encoder.folder.name} ({_weights(encoder.folder)}), layer {encoder.layer}"
    return f"{libraries}, F1 x 100, {which}, no idf, not rescaled"


def scores(responses: Sequence[str], references: Sequence[str], encoder: Encoder) -> list[float]:
    """Return the F1 of each pair, x 100 (about [0, 100]: a cosine may be negative); 0 for an empty response."""
    # The library gives an empty text 0, and fails on it under transformers 5.
    full = [i for i, pair in enumerate(zip(responses, references, strict=True)) if all(text.strip() for text in pair)]
    found = [0.0] * len(responses)
    if full:
        _, _, values = _scorer(encoder).score([responses[i] for i in full], [references[i] for i in full])
        for i, value in zip(full, values, strict=True):
            found[i] = 100.0 * float(value)
    return found


@cache
def _weights(folder: Path) -> str:
    """Return the beginning of the weights digest, for a folder's name says little."""
    try:
        return f"weights {weights_digest(folder)[:12]}"
    except SutureError:
        return "weights not digested: no safetensors"


def _layer(folder: Path, layer: int | None) -> int:
    layers = int(json.loads((folder / "config.json").read_text(encoding="utf-8")).get("num_hidden_layers", 0))
    if layer is None:
        from bert_score.utils import model2layers

        known = {name.rpartition("/")[2]: number for name, number in model2layers.items()}
        layer = known.get(folder.name)
    if layer is None or not 1 <= layer <= layers:
        must = f"The layer of an encoder that bert_score does not know by name must be stated, 1 to {layers}."
        raise UsageError(Problem(must, str(layer), str(folder), "Say --encoder-layer N."))
    return layer


@cache
def _scorer(encoder: Encoder) -> Any:
    stay_offline()
    from bert_score import BERTScorer

    with quiet_transformers():
        scorer = BERTScorer(model_type=str(encoder.folder), num_layers=encoder.layer, batch_size=32)
    if scorer._tokenizer.model_max_length > _LONGEST:
        scorer._tokenizer.model_max_length = int(scorer._model.config.max_position_embeddings)
    return scorer
