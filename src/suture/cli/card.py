"""`suture card MODEL --comparison FILE --label NAME`: write what was measured into the model's card."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def card(
    model: Annotated[Path, typer.Argument(help="The folder of a merged model.")],
    comparison: Annotated[Path, typer.Option("--comparison", help="The comparison.json that measured it.")],
    label: Annotated[str, typer.Option("--label", help="What the model is called there.")],
) -> None:
    """Write the evaluation of MODEL, with intervals and verdicts, into its card README.md."""
    from suture.card import CARD_NAME, with_evaluation
    from suture.checkpoint.manifest import read_manifest
    from suture.cli.console import console
    from suture.compare.verdicts import read_comparison
    from suture.errors import BadInputError, IncompatibleError, Problem
    from suture.report.card import evaluation_section

    found, manifest = read_comparison(comparison), read_manifest(model)
    section = evaluation_section(found, label)
    measured, written = found.digests.get(label), manifest.get("weights_digest")
    if written and measured and measured != written:
        must = "The comparison must be of these weights."
        raise IncompatibleError(Problem(must, f"digest {measured[:12]}", label, f"The model's is {written[:12]}."))
    path = model / CARD_NAME
    try:
        text = with_evaluation(path.read_text(encoding="utf-8"), section)
    except (OSError, ValueError):
        must, do = "The model must have the card that its merge wrote.", "Merge it again."
        raise BadInputError(Problem(must, "none with a place for an evaluation", str(path), do)) from None
    staging = path.with_name(f".{CARD_NAME}.partial")
    staging.write_text(text, encoding="utf-8")
    staging.replace(path)
    console().print(f"wrote {path}", highlight=False, markup=False)
