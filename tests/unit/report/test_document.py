"""Markdown, LaTeX and JSON carry the page's tables, escape what they must, and hold no item's text or name unasked."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest

from suture.report.data import AnswerSet, ReportData
from suture.report.document import report_json, tables_of
from suture.report.latex import render_latex
from suture.report.markdown import render_markdown

CANARY = "canary-7f3a"


@pytest.fixture
def marked(report: ReportData) -> ReportData:
    answers = AnswerSet("clinic_summary", f"{CANARY}-id", CANARY, CANARY, {"general": CANARY})
    contrasts = tuple(
        replace(c, forgotten_items=tuple(f"{CANARY}-{item}" for item in c.forgotten_items), worst_items=(CANARY,))
        for c in report.comparison.contrasts
    )
    comparison = replace(report.comparison, contrasts=contrasts, replicates=contrasts[:1])
    return replace(report, answers=(answers,), comparison=comparison, replicates=contrasts[:2])


def test_no_format_holds_texts_or_names_of_items_unasked(marked: ReportData) -> None:
    for written in (render_markdown(marked), render_latex(marked), json.dumps(report_json(marked, text=False))):
        assert CANARY not in written
    assert CANARY in json.dumps(report_json(marked, text=True))


def test_json_is_strict_and_holds_every_number(report: ReportData) -> None:
    found = json.loads(json.dumps(report_json(report, text=False), allow_nan=False))
    contrast = report.comparison.contrasts[0]
    row = found["comparison"]["contrasts"][0]
    assert (row["model"], row["difference"]) == (contrast.model, contrast.difference)
    assert found["comparison"]["digests"] == dict(report.comparison.digests)
    assert len(row["forgotten_items"]) == len(contrast.forgotten_items)
    assert found["answers"] == []


def test_markdown_has_a_well_formed_table_for_each(report: ReportData) -> None:
    text = render_markdown(report)
    tables = list(tables_of(report))
    assert text.count("\n## ") == len(tables)
    for block in re.findall(r"(?:^\|.*\n)+", text, re.M):
        widths = {len(re.findall(r"(?<!\\)\|", line)) for line in block.splitlines()}
        assert len(widths) == 1
    for card in report.models:
        assert card.weights_digest in text


def test_markdown_escapes_what_would_be_markup(report: ReportData) -> None:
    text = render_markdown(replace(report, title="a | b <b> *c*\n# d"))
    assert text.splitlines()[0] == r"# a \| b \<b\> \*c\* \# d"


def test_latex_is_balanced_and_escaped(report: ReportData) -> None:
    text = render_latex(replace(report, notes=("50 % & {x}\nof_y",)))
    assert text.count(r"\begin{table}") == text.count(r"\end{table}") == len(list(tables_of(report)))
    body = "\n".join(line for line in text.splitlines() if not line.startswith("%"))
    bare = re.sub(r"\\[{}]", "", body)
    assert bare.count("{") == bare.count("}")
    assert not re.search(r"(?<!\\)[&%](?![^\n]*\\\\)(?!$)", re.sub(r"\{!\}\{%", "", bare))
    assert not re.search(r"[^\x00-\x7f]", body)
