"""The page: one file that fetches nothing, withholds text when asked, and lets no answer break out of its data."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from suture.report.data import AnswerSet, FactMark, ReportData
from suture.report.html import escape_json, render_report, write_report

CANARY = "canary-7f3a"
HOSTILE = '</script><script>alert("x")</script><!-- & \u2028 <img src=x onerror=alert(1)>'


class Page(HTMLParser):
    """What a browser would see: start tags with attributes, and the text inside each script and style."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.raw: list[tuple[str, str]] = []
        self.seen: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag in ("script", "style"):
            self.raw.append((tag, ""))

    def handle_data(self, data: str) -> None:
        if self.cdata_elem in ("script", "style"):
            tag, before = self.raw[-1]
            self.raw[-1] = (tag, before + data)
        else:
            self.seen.append(data)

    @property
    def scripts(self) -> list[str]:
        return [text for tag, text in self.raw if tag == "script"]

    @property
    def data(self) -> dict[str, list[dict[str, object]]]:
        found: dict[str, list[dict[str, object]]] = json.loads(self.scripts[0])
        return found


@pytest.fixture(scope="module")
def html(report: ReportData) -> str:
    return render_report(report)


@pytest.fixture(scope="module")
def page(html: str) -> Page:
    return Page(html)


def test_no_tag_loads_anything(page: Page) -> None:
    loading = {"src", "href", "srcset", "data", "action", "formaction", "poster", "background", "xlink:href"}
    assert [(tag, attrs) for tag, attrs in page.tags if loading & attrs.keys()] == []
    assert not {"link", "iframe", "img", "object", "embed", "base"} & {tag for tag, _ in page.tags}


def test_no_style_or_own_script_names_an_address(page: Page) -> None:
    styles = [text for tag, text in page.raw if tag == "style"]
    own = page.scripts[2]
    for text in [*styles, own]:
        assert not re.search(r"url\(|@import|https?:|fetch\(|XMLHttpRequest|import\(|innerHTML", text)


def test_the_policy_forbids_the_network_and_allows_just_the_two_scripts(page: Page) -> None:
    policy = next(
        a["content"] for t, a in page.tags if t == "meta" and a.get("http-equiv") == "Content-Security-Policy"
    )
    assert policy is not None
    assert policy.startswith("default-src 'none'")
    assert "connect-src 'none'" in policy
    digests = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in page.scripts[1:]]
    assert re.findall(r"'sha256-([^']+)'", policy) == digests


def test_every_model_and_every_verdict_appears_without_script(page: Page, report: ReportData) -> None:
    seen = " ".join(page.seen)
    for card in report.models:
        assert card.label in seen
        assert card.weights_digest in seen
    for verdict in {contrast.verdict for contrast in report.comparison.contrasts}:
        assert verdict.removesuffix(" at this n") in seen
    for words in ("synthetic records, fictional patients", "4-bit file", "A/A", "never a verdict", "margin 2.00"):
        assert words in seen


def test_the_embedded_data_parses_and_names_the_stops(page: Page, report: ReportData) -> None:
    assert [stop["a"] for stop in page.data["path"]] == [0.0, 0.25, 0.5, 0.75, 1.0]
    assert [stop["realised"] for stop in page.data["path"]] == ["0.000", "0.250", "0.500", "0.750", "1.000"]
    assert {score["model"] for score in page.data["scores"]} == set(report.comparison.models)
    assert page.data["answers"][0]["item"] == "clinic_summary-003"


def test_lost_and_gained_items_are_those_of_the_contrasts(page: Page, report: ReportData) -> None:
    contrast = report.comparison.contrast("linear 0.5", "clinical", "clinic_mcq", "accuracy")
    assert contrast is not None
    wanted = {"model": "linear 0.5", "against": "clinical", "key": "clinic_mcq/accuracy"}
    row = next(row for row in page.data["items"] if wanted.items() <= row.items())
    assert row["lost"] == list(contrast.forgotten_items)
    assert row["gained"] == list(contrast.gained_items)
    assert contrast.forgotten_items


def _marked(report: ReportData, text: str) -> ReportData:
    answers = AnswerSet(
        "clinic_summary", "item-1", f"{text} prompt", f"{text} reference", {"linear 0.5": f"{text} answer"},
        {"linear 0.5": {"rougeL": 12.0}}, {"linear 0.5": (FactMark("drug", f"{text} fact", "found"),)},
    )  # fmt: skip
    return replace(report, answers=(answers,))


def test_without_text_no_prompt_reference_answer_or_fact_is_in_the_file(report: ReportData, tmp_path: Path) -> None:
    marked = _marked(report, CANARY)
    write_report(tmp_path / "with.html", marked)
    write_report(tmp_path / "without.html", marked, text=False)
    assert (tmp_path / "with.html").read_text(encoding="utf-8").count(CANARY) == 4
    without = (tmp_path / "without.html").read_text(encoding="utf-8")
    assert CANARY not in without
    data = Page(without).data
    assert data["answers"] == []
    assert len(data["path"]) == 5
    assert data["items"]


def test_without_text_items_are_digests_and_not_names(report: ReportData) -> None:
    lost = report.comparison.contrast("linear 0.5", "clinical", "clinic_mcq", "accuracy")
    assert lost is not None
    assert lost.forgotten_items
    named, plain = render_report(report), render_report(report, text=False)
    for item in lost.forgotten_items:
        assert f'"{item}"' in named
        assert item not in plain


def test_an_answer_cannot_break_out_of_its_data(report: ReportData) -> None:
    text = render_report(_marked(report, HOSTILE))
    page = Page(text)
    assert len(page.scripts) == 3
    assert page.data["answers"][0]["prompt"] == f"{HOSTILE} prompt"
    assert '<script>alert("x")' not in text


def test_labels_and_notes_are_escaped(report: ReportData) -> None:
    text = render_report(replace(report, title=HOSTILE, notes=(HOSTILE,)))
    assert len(Page(text).scripts) == 3
    assert "<img" not in text.split("<script")[0]


def test_escaped_json_reads_back_equal() -> None:
    value = {"text": "</script> & \u2028 \u2029 é"}
    escaped = escape_json(value)
    assert not re.search("[<>&\u2028\u2029]", escaped)
    assert json.loads(escaped) == value


def test_a_report_without_path_answers_and_gate_is_still_a_page(
    report: ReportData, answer_set: Callable[..., AnswerSet]
) -> None:
    gate = replace(report.gate, accepted=False, sentence="No forgetting to mitigate: nothing lies below.")
    bare = replace(report, path=(), answers=(), planning=(), realised=(), replicates=(), gate=gate, synthetic=False)
    page = Page(render_report(bare))
    seen = " ".join(page.seen)
    assert "No forgetting to mitigate" in seen
    assert "fictional patients" not in seen
    assert page.data["path"] == []


def test_writing_leaves_no_partial_file(report: ReportData, tmp_path: Path) -> None:
    write_report(tmp_path / "report.html", report)
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]
