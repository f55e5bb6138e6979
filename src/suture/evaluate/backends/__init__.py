"""Who else may run the model: vLLM in this process, or a server that speaks the completions interface of OpenAI."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from suture.evaluate.backend import Answerer
from suture.evaluate.workload import Workload


@dataclass(frozen=True, slots=True)
class Connection:
    """An answerer, what identifies it in the key of results, the digest that its rows carry, whether they are reused.

    The digest is the folder's weights digest; "asserted-<digest>" where nothing shows that a server runs these weights.
    """

    answerer: Answerer
    about: Mapping[str, Any]
    digest: str
    reuse: bool


def connect(
    backend: str, folder: Path, work: Sequence[Workload], *, url: str, served: str, fingerprint: bool, dtype: str
) -> Connection:
    """Return the connection to `backend` ("vllm" or "openai") for `work`.

    Raises UsageError for a task that needs the model in this process, MissingExtraError for vLLM that is not installed,
    and IncompatibleError for a server that cannot do what `work` needs or runs other weights than the folder's.
    """
    from suture.evaluate.backends import openai, vllm
    from suture.evaluate.backends.needs import refuse_local_only

    refuse_local_only(work)
    if backend == "vllm":
        return vllm.connect(folder, dtype)
    return openai.connect(folder, work, url=url, served=served, fingerprint=fingerprint)
