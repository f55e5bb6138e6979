"""The geometry of two models as a page of plots: one self-contained file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from suture.inspect import COEFFICIENTS, Geometry, Inspection

COLOURS = ("#0072b2", "#d55e00", "#009e73")
"""Blue, vermilion, green of Okabe and Ito: told apart by readers of every colour vision; markers differ as well."""


def write_geometry(path: Path, found: Inspection) -> None:
    """Write the page, whole or not at all. Raises MissingExtraError without plotly."""
    staging = path.with_name(path.name + ".partial")
    staging.write_text(render_geometry(found), encoding="utf-8")
    staging.replace(path)


def render_geometry(found: Inspection) -> str:
    """Return the page: distance and angles by layer, and the coefficient that rounding leaves, beside the nominal."""
    try:
        import plotly.graph_objects as go
        from plotly.subplots import make_subplots
    except ImportError:
        from suture.errors import MissingExtraError, Problem

        must, do = "Plots need plotly.", "Install it: pip install 'suture[report]'"
        raise MissingExtraError(Problem(must, "no such package", do=do)) from None
    names = [layer.name for layer in found.layers]
    titles = ["distance, |b - a| / |a|", "angles", "what rounding to nearest leaves of a coefficient"]
    figure = make_subplots(rows=3, cols=1, subplot_titles=titles, vertical_spacing=0.12)

    def line(row: int, x: Any, y: Any, label: str, style: int) -> None:
        marker = {"symbol": ("circle", "square", "diamond")[style], "size": 7}
        mode = {"color": COLOURS[style], "dash": ("solid", "dot", "dash")[style]}
        figure.add_trace(
            go.Scatter(x=x, y=y, name=label, mode="lines+markers", marker=marker, line=mode), row=row, col=1
        )

    line(1, names, [layer.distance for layer in found.layers], "distance", 0)
    line(2, names, [layer.cosine for layer in found.layers], "cosine of the models", 0)
    if found.whole.based:
        line(2, names, [layer.task_cosine for layer in found.layers], "cosine of the task vectors", 1)
        line(2, names, [layer.sign_conflict for layer in found.layers], "share of sign conflicts", 2)
    line(3, COEFFICIENTS, COEFFICIENTS, "nominal", 0)
    line(3, COEFFICIENTS, found.whole.realised, "realised, whole model", 1)
    heading = " and ".join(Path(model).name for model in found.models[-2:])
    figure.update_layout(title=f"{heading}: {_words(found.whole)}", height=1100, template="plotly_white")
    page: str = figure.to_html(include_plotlyjs=True, full_html=True)
    return page


def _words(whole: Geometry) -> str:
    return f"{whole.distance:.2%} apart, slerp takes the arc on {whole.arcs} of {whole.tensors} tensors"
