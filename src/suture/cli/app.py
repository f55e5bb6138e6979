"""The verbs, put together; each imports what is heavy only when it runs, so that `--help` answers at once."""

from __future__ import annotations

import typer

from suture.cli.adapt import adapt
from suture.cli.audit import audit
from suture.cli.calibrate import calibrate
from suture.cli.card import card
from suture.cli.compare import compare
from suture.cli.data import app as data
from suture.cli.digest import digest
from suture.cli.eval import evaluate
from suture.cli.extract_lora import extract_lora
from suture.cli.inspect import inspect
from suture.cli.merge import merge
from suture.cli.methods import methods
from suture.cli.plan import plan
from suture.cli.recipe import app as recipe
from suture.cli.report import report
from suture.cli.score import score
from suture.cli.search import search
from suture.cli.start import start
from suture.cli.study import app as study
from suture.cli.verify import verify
from suture.cli.weigh import weigh

app = typer.Typer(
    name="suture",
    help="Join a clinical and a general language model in weight space; measure what was kept and what was forgotten.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
for verb in (
    start,
    plan,
    merge,
    inspect,
    calibrate,
    adapt,
    score,
    compare,
    weigh,
    search,
    report,
    card,
    digest,
    verify,
    audit,
    methods,
):
    app.command()(verb)
app.command(name="eval")(evaluate)
app.command(name="extract-lora")(extract_lora)
app.add_typer(study, name="study")
app.add_typer(data, name="data")
app.add_typer(recipe, name="recipe")
