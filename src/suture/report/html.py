"""The report as one self-contained HTML file: nothing is fetched when it is opened, and its policy forbids it."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from importlib.resources import files
from math import isnan
from pathlib import Path
from typing import Any

from suture.report import contrasts, curves, tables, transitions
from suture.report.compact import noise_table
from suture.report.data import ReportData
from suture.report.distributions import spreads
from suture.report.finding import findings, headline, what_was_merged
from suture.report.heat import HEAT_MARKS, WORDS, heat_map
from suture.report.labels import TONES, coefficient, share
from suture.report.plane import front_sentence
from suture.report.private import write_private
from suture.report.regressions import regressions
from suture.report.sweep import sweep_groups, sweep_table
from suture.report.view import page_data

SCRIPTS = ("base.js", "curve.js", "sweep.js", "answers.js", "items.js", "regressions.js", "slider.js")
_UNSAFE = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}


def write_report(path: Path, data: ReportData, *, text: bool = True) -> None:
    """Write report.html, whole or not at all, mode 0600; without `text` no item's text enters it."""
    write_private(path, render_report(data, text=text))


def render_report(data: ReportData, *, text: bool = True) -> str:
    """Return the page: plotly, script, style and data inline; scripts run only if their digest is in its policy."""
    from plotly.offline import get_plotlyjs

    plotly: str = get_plotlyjs()
    script = "\n".join(['(function () {\n"use strict";', *map(_asset, SCRIPTS), "})();"])
    page: str = _template().render(
        data=data,
        text=text,
        style=_asset("style.css"),
        plotly=plotly,
        script=script,
        policy=_policy(plotly, script),
        page_json=escape_json(page_data(data, text=text)),
        headline=headline(data),
        merged=what_was_merged(data),
        findings=findings(data),
        regressions=regressions(data) if text else (),
        panels=transitions.panels(data),
        map=heat_map(data),
        marks=HEAT_MARKS,
        words=WORDS,
        spreads=spreads(data),
        panels_of_shots=curves.curve_panels(data),
        curves=curves,
        sweeps=sweep_groups(data),
        sweep_table=sweep_table,
        front_sentence=front_sentence(data),
        tables=tables,
        contrasts=contrasts,
        noise_table=noise_table,
    )
    return page


def escape_json(value: Mapping[str, Any]) -> str:
    """Return `value` as JSON that is safe inside a script element: no `<`, `>`, `&` and no line separators."""
    encoded = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for character, escape in _UNSAFE.items():
        encoded = encoded.replace(character, escape)
    return encoded


def _policy(*scripts: str) -> str:
    """Content-Security-Policy: no network at all, and only these scripts (by SHA-256) may run."""
    digests = (base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts)
    allowed = " ".join(f"'sha256-{digest}'" for digest in digests)
    return (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data: blob:; "
        "connect-src 'none'; base-uri 'none'; form-action 'none'"
    )


def _template() -> Any:
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        loader=PackageLoader("suture.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"trusted": Markup, "coefficient": coefficient, "share": share, "tone": TONES.__getitem__}
    environment.tests["nan"] = isnan
    return environment.get_template("report.html.jinja")


def _asset(name: str) -> str:
    return files("suture.report").joinpath("templates", name).read_text(encoding="utf-8")
