"""langdetect made repeatable: every draw has a seed, is remembered, and says whether another might differ.

langdetect adds random smoothing in seven trials, by default without a seed: short texts change language from call to
call. Here the first draw has seed 0. For a short text, or where its probability leaves doubt, nine further draws can
be had, and the verdict of most of them taken.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

SEEDS = range(10)
SURE, LONG = 0.99, 200  # texts so long and so clear: six draws agreed on each of 228 tried
UNKNOWN = "unknown"  # what langdetect says where no language has a share


class Languages:
    """Stands in for `langdetect.detect` while `listening`."""

    def __init__(self) -> None:
        self._seed = SEEDS[0]
        self._doubt = False
        self._known: dict[tuple[int, str], tuple[str, bool] | Exception] = {}

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Answer every call of `langdetect.detect`; nothing of a text reaches a log."""
        import langdetect

        logger = logging.getLogger("lm_eval.tasks.ifeval.instructions")
        kept, seed, level = langdetect.detect, langdetect.DetectorFactory.seed, logger.level
        langdetect.detect = self.detect
        logger.setLevel(logging.CRITICAL + 1)  # it logs the whole answer where no language is found
        try:
            yield
        finally:
            langdetect.detect, langdetect.DetectorFactory.seed = kept, seed
            logger.setLevel(level)

    def detect(self, text: str) -> str:
        """Return the language of `text` by the present draw; raises langdetect's exception for a text without any."""
        place = (self._seed, text)
        if place not in self._known:
            self._known[place] = _draw(text, self._seed)
        found = self._known[place]
        if isinstance(found, Exception):
            raise found
        self._doubt = self._doubt or found[1]
        return found[0]

    def unsure(self) -> bool:
        """Return whether a draw since the last call left doubt."""
        doubt, self._doubt = self._doubt, False
        return doubt

    def further_draws(self) -> Iterator[int]:
        """Step through the other seeds; afterwards the first one counts again."""
        try:
            for seed in SEEDS[1:]:
                self._seed = seed
                yield seed
        finally:
            self._seed = SEEDS[0]
            self._doubt = False


def _draw(text: str, seed: int) -> tuple[str, bool] | Exception:
    """Return (language, whether in doubt), or the exception for a text without letters."""
    import langdetect

    langdetect.DetectorFactory.seed = seed
    try:
        found: list[Any] = langdetect.detect_langs(text)
    except langdetect.LangDetectException as error:
        nothing: Exception = error
        return nothing
    if not found:
        return UNKNOWN, True
    return str(found[0].lang), bool(found[0].prob < SURE or len(text) < LONG)
