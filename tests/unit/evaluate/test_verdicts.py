"""Strict and loose verdicts by hand, what hangs on draws, and equality with the harness over the 541 prompts."""

from __future__ import annotations

import json
import logging
import random
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest

from suture.evaluate.ifeval_rules import verifiers
from suture.evaluate.languages import Languages
from suture.evaluate.packaged import ifeval_prompts
from suture.evaluate.verdicts import Instructions, Verdict, failed, judge, loose_forms


@pytest.fixture(scope="module")
def languages() -> Iterator[Languages]:
    found = Languages()
    with found.listening():
        yield found


def verdicts(languages: Languages, text: str, identifier: str, **kwargs: Any) -> Verdict:
    return judge(Instructions("1", "p", (identifier,), (kwargs,)), text, verifiers(), languages)[0]


def test_the_eight_forms() -> None:
    assert loose_forms("*a*\nb\nc*") == (
        *("*a*\nb\nc*", "b\nc*", "*a*\nb", "b"),
        *("a\nb\nc", "b\nc", "a\nb"),
    )
    assert loose_forms("a") == ("a", "")


def test_loose_passes_on_a_form(languages: Languages) -> None:
    found = verdicts(languages, "Sure, here:\nno comma", "punctuation:no_comma")
    assert (found.strict.published, found.loose.published) == (False, True)
    found = verdicts(languages, "**Title**", "startend:end_checker", end_phrase="title")
    assert (found.strict.published, found.loose.published) == (False, True)


def test_a_blank_answer_follows_nothing(languages: Languages) -> None:
    for text in ("", " \n"):
        found = verdicts(languages, text, "punctuation:no_comma")
        assert not found.loose.greatest
    assert failed(Instructions("1", "p", ("punctuation:no_comma",), ({},)))[0] == found


def test_zero_is_kept_where_the_harness_drops_it(languages: Languages) -> None:
    kwargs = {"capital_frequency": 0, "capital_relation": "less than"}
    found = verdicts(languages, "no capital", "change_case:capital_word_frequency", **kwargs)
    assert not found.strict.published  # fewer than none


def test_a_character_that_is_no_letter_is_counted_and_drawn_letters_are_the_range(languages: Languages) -> None:
    wanted = {"letter": "#", "let_frequency": 2, "let_relation": "at least"}
    found = verdicts(languages, "#one #two", "keywords:letter_frequency", **wanted)
    assert (found.strict.published, found.strict.repaired, found.strict.least) == (True, True, False)
    found = verdicts(languages, "one, oo", "keywords:letter_frequency", **wanted)
    assert (found.strict.published, found.strict.greatest) == (False, True)  # an "o" may be drawn
    fewer = {**wanted, "let_relation": "less than"}
    assert not verdicts(languages, "#one #two", "keywords:letter_frequency", **fewer).strict.published


def test_an_uncertain_language_shows_in_the_range(languages: Languages) -> None:
    found = verdicts(languages, "lungs clear.", "change_case:english_lowercase")
    assert (found.strict.least, found.strict.greatest) == (False, True)
    assert found.strict.repaired  # English in most of the draws
    sure = verdicts(languages, "the patient is well and goes home with his wife.", "change_case:english_lowercase")
    assert sure.strict.least
    assert sure.strict.published


def test_a_text_without_letters_counts_as_in_the_language_as_published(languages: Languages) -> None:
    assert verdicts(languages, "123 !!", "language:response_language", language="de").strict.published


def test_python_s_generator_is_left_alone(languages: Languages) -> None:
    random.seed(3)
    state = random.getstate()
    verdicts(languages, "a", "keywords:letter_frequency", let_frequency=1, let_relation="at least")
    assert random.getstate() == state


def test_langdetect_is_given_back_and_logs_no_answer(caplog: pytest.LogCaptureFixture) -> None:
    import langdetect

    before = langdetect.detect, langdetect.DetectorFactory.seed
    with Languages().listening(), caplog.at_level(logging.DEBUG):
        own = Languages()
        verdicts(own, "123456789", "language:response_language", language="de")
    assert (langdetect.detect, langdetect.DetectorFactory.seed) == before
    assert "123456789" not in caplog.text


@cache
def prompts() -> list[dict[str, Any]]:
    return [json.loads(line) for line in ifeval_prompts().read_text().splitlines()]


ANSWERS = {
    "the prompt itself": lambda text: text,
    "lower case": str.lower,
    "upper case": lambda text: text.upper()[:300],
    "all kinds of marks": lambda text: f'"*** \n* {text[:200]}\n\n- *x* **y** [z] <<t>>\nP.S. Section 1 ****** {{}}"',
    "JSON": lambda text: f"```json\n{json.dumps({'answer': text[:100]})}\n```",
    "two answers": lambda _: "My answer is yes.\n******\nMy answer is no.\n\nP.P.S. Any other questions?",
}


@pytest.mark.parametrize("name", ANSWERS)
def test_verdicts_equal_the_harness_on_every_prompt_but_two(name: str) -> None:
    import langdetect
    from lm_eval.tasks.ifeval.utils import process_results

    if not ifeval_prompts().is_file():
        pytest.skip("the IFEval prompts are not installed")
    different = []
    languages = Languages()
    for row in prompts():
        answer = ANSWERS[name](row["prompt"])
        item = Instructions(str(row["key"]), row["prompt"], tuple(row["instruction_id_list"]), tuple(row["kwargs"]))
        with languages.listening():
            found = judge(item, answer, verifiers(), languages)
        langdetect.DetectorFactory.seed = 0
        expected = process_results(row, [answer])
        ours = [[v.strict.published for v in found], [v.loose.published for v in found]]
        if ours != [expected["inst_level_strict_acc"], expected["inst_level_loose_acc"]]:
            different.append(row["key"])
    assert set(different) <= {1122, 1129}  # '#' and '!', for which the harness draws a letter
