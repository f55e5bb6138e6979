"""`suture report RUN`: the report of a finished study, or of a comparison.json, as HTML, Markdown, JSON or LaTeX."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from suture.report.data import ReportData
    from suture.study.finished import Finished

COMPARISON = "comparison.json"


class Format(StrEnum):
    """What a report is written as."""

    html = "html"
    md = "md"
    json = "json"
    latex = "latex"


SUFFIXES = {Format.html: "html", Format.md: "md", Format.json: "json", Format.latex: "tex"}


def report(
    run: Annotated[Path, typer.Argument(help="The folder of a finished study, or a comparison.json.")],
    form: Annotated[Format, typer.Option("--format", help="What to write.")] = Format.html,
    out: Annotated[Path | None, typer.Option("--out", help="Where to write; report.<format> beside RUN.")] = None,
    text: Annotated[
        bool | None,
        typer.Option("--with-text/--no-text", help="Prompts, answers and item names; only synthetic ones by default."),
    ] = None,
) -> None:
    """Write the report of RUN: one private file that fetches nothing; digests and numbers only unless --with-text."""
    from suture.cli.console import console
    from suture.report.private import write_private
    from suture.report.terminal import comparison_table, contrast_tables
    from suture.study.finished import publish, reported

    comparison = _comparison(run)
    done = None if comparison else _finished(run)
    data = reported(done) if done else _bare(comparison or run)
    shown = data.synthetic if text is None else text
    beside = comparison.parent if comparison else run
    target = out or beside / f"report.{SUFFIXES[form]}"
    written: tuple[Path, ...] = (target,)
    if done and form is Format.html and out is None:
        written = publish(done, data, text=shown)
    else:
        write_private(target, _render(data, form, text=shown))
    console().print(contrast_tables(data) if comparison else comparison_table(data))
    for note in () if comparison else data.notes:
        console().print(f"- {note}", highlight=False, markup=False)
    for path in written:
        console().print(f"wrote {path}", highlight=False, markup=False)


def _render(data: ReportData, form: Format, *, text: bool) -> str:
    from suture.report.document import report_json
    from suture.report.html import render_report
    from suture.report.latex import render_latex
    from suture.report.markdown import render_markdown

    match form:
        case Format.html:
            return render_report(data, text=text)
        case Format.md:
            return render_markdown(data)
        case Format.latex:
            return render_latex(data)
        case Format.json:
            return json.dumps(report_json(data, text=text), indent=1, sort_keys=True, allow_nan=False) + "\n"


def _comparison(run: Path) -> Path | None:
    """Return the comparison.json that RUN names or holds without a study; None where RUN is a study's folder."""
    if run.is_file():
        return run
    alone = (run / COMPARISON).is_file() and not (run / "study.yaml").is_file()
    return run / COMPARISON if alone else None


def _bare(path: Path) -> ReportData:
    from suture.compare.verdicts import read_comparison
    from suture.report.bare import bare_report

    found = read_comparison(path)
    merged = [label for label in found.models if label not in found.against]
    title = f"{', '.join(merged)} against {' and '.join(found.against)}" if merged else " and ".join(found.models)
    return bare_report(title, found)


def _finished(folder: Path) -> Finished:
    from suture.errors import Problem, UsageError
    from suture.study.session import open_study
    from suture.study.store import Store

    done = open_study(Store(folder))
    left = len(done.built.graph) - len(done.found)
    if left:
        advice = f"Run: suture study run {folder / 'study.yaml'} --out {folder}"
        raise UsageError(Problem("A report needs a finished study.", f"{left} steps to do", str(folder), advice))
    return done
