"""Weights without a search: recipes whose weights follow from a rule, from a few examples, or from statistics.

    half           0.5 for each parent
    lm-cocktail    softmax of minus the parents' losses on a few examples (Xiao et al. 2023, arXiv 2311.13534)
    fisher         each element by the parents' Fisher information (files of `suture calibrate`)
    regmean        each linear layer from the parents' Gram matrices of its inputs (files of `suture calibrate`)
    model-stock    from the ancestor towards the parents' mean, as far as the Gram matrix of their task vectors says

They are there to be compared with a search, which has to beat them.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, get_args

import yaml

from suture.errors import BadInputError, NumericError, OutputExistsError, Problem, UsageError, refuse

Rule = Literal["half", "lm-cocktail", "fisher", "regmean", "model-stock"]
RULES: Final[tuple[str, ...]] = get_args(Rule)
STATISTIC: Final = {"fisher": "fisher", "regmean": "gram"}


@dataclass(frozen=True, slots=True)
class Request:
    """What to weigh. general, clinical, base: references of models; base is the common ancestor.

    task, items, examples: for lm-cocktail, a task that is read, a file of its items, and how many of the first are
    used. temperature: of the softmax, in the unit of the loss (nats): near 0 the better parent gets everything; ours
    is 1 where the paper leaves it to be chosen. information: for fisher and regmean, the files of both parents, the
    general one's first. dtype: of the recipe.
    """

    rule: Rule
    general: str
    clinical: str
    base: str | None = None
    task: str | None = None
    items: Path | None = None
    examples: int = 16
    temperature: float = 1.0
    information: tuple[str, ...] = ()
    dtype: str | None = None


@dataclass(frozen=True, slots=True)
class Weighed:
    """A recipe as YAML, why it is as it is, the parents' weights where the rule gives numbers, and their losses."""

    recipe: str
    reason: str
    weights: tuple[float, float] | None = None
    losses: tuple[float, float] | None = None


def weigh(request: Request, *, device: str = "cpu") -> Weighed:
    """Choose weights and return the recipe, which was planned, so that its models are known to fit.

    Raises UsageError for what the rule needs and does not get, or gets and does not need; NumericError for a loss that
    is not finite; and what make_plan raises.
    """
    from suture.plan import make_plan
    from suture.recipe import parse_recipe

    refuse(UsageError, _problems(request))
    losses: tuple[float, float] | None = None
    weights: tuple[float, float] | None = (0.5, 0.5)
    if request.rule == "lm-cocktail":
        first, second = (_loss(model, request, device) for model in (request.general, request.clinical))
        losses, weights = (first, second), cocktail((first, second), request.temperature)
        reason = (
            f"Softmax of minus the losses on {request.examples} examples of {request.task}, {first:.4f} (general) and "
            f"{second:.4f} (clinical) nats, at temperature {request.temperature:g}."
        )
    elif request.rule == "half":
        reason = "One half for each parent: the choice that everything else has to beat."
    else:
        weights = None
        reason = _REASONS[request.rule]
    body = yaml.safe_dump(_body(request, weights), sort_keys=False)
    make_plan(parse_recipe(body, f"recipe of {request.rule}"))
    head = "".join(f"# {line}\n" for line in textwrap.wrap(f"{request.rule}: {reason}", 116))
    return Weighed(head + body, reason, weights, losses)


def write_recipe(found: Weighed, out: Path) -> None:
    """Write the recipe to the new file `out`. Raises OutputExistsError where there is one, else ResourceError."""
    from suture.checkpoint.disk import named_errors
    from suture.report.private import write_private

    if out.exists():
        raise OutputExistsError(Problem("The recipe's file must be new.", "a file", str(out), "Choose another name."))
    with named_errors(out, len(found.recipe)):
        write_private(out, found.recipe)


def cocktail(losses: Sequence[float], temperature: float) -> tuple[float, float]:
    """Return exp(-loss_i / temperature) over their sum, for two losses; 12 digits, so that they add up to 1."""
    if not all(math.isfinite(loss) for loss in losses):
        raise NumericError(Problem("A parent's loss must be finite.", "one that is not", do="Check the models."))
    share = 1.0 / (1.0 + math.exp(min(700.0, max(-700.0, (losses[1] - losses[0]) / temperature))))
    clinical = round(share, 12)
    return round(1.0 - clinical, 12), clinical


_REASONS = {
    "fisher": "Each element by the parents' Fisher information, as measured by suture calibrate.",
    "regmean": "Each linear layer solved from the Gram matrices of its inputs, as measured by suture calibrate.",
    "model-stock": "From the ancestor towards the parents' mean, by the cosine of their task vectors in each tensor.",
}


def _body(request: Request, weights: tuple[float, float] | None) -> dict[str, Any]:
    methods = {"half": "linear", "lm-cocktail": "linear", "model-stock": "model_stock"}
    entries: list[dict[str, Any]] = [{"model": request.general}, {"model": request.clinical}]
    if weights is not None:
        for entry, weight in zip(entries, weights, strict=True):
            entry["parameters"] = {"weight": weight}
    for entry, file in zip(entries, request.information, strict=False):
        entry["information"] = file
    body: dict[str, Any] = {"merge_method": methods.get(request.rule, request.rule)}
    body |= {"general": request.general, "clinical": request.clinical, "models": entries}
    body |= {"base_model": request.base} if request.base else {}
    return body | ({"dtype": request.dtype} if request.dtype else {})


def _problems(request: Request) -> list[Problem]:
    rule, found = request.rule, []
    if rule not in RULES:
        return [Problem(f"A rule must be one of {', '.join(RULES)}.", f"'{rule}'", "--by")]
    needs_items, statistic, needs_base = rule == "lm-cocktail", STATISTIC.get(rule), rule == "model-stock"
    if needs_items != (request.items is not None and request.task is not None):
        got = "none" if needs_items else "some"
        do = "Give --task TASK=FILE." if needs_items else "Leave --task out."
        found.append(Problem(f"{rule} takes {'' if needs_items else 'no '}examples.", got, "--task", do))
    if len(request.information) != (2 if statistic else 0):
        do = f"Make them with suture calibrate --statistic {statistic}." if statistic else "Leave them out."
        must = f"{rule} takes {'two files' if statistic else 'no files'} of information."
        found.append(Problem(must, str(len(request.information)), "--information", do))
    if needs_base != (request.base is not None):
        got = "none" if needs_base else "one"
        found.append(Problem(f"{rule} takes {'the' if needs_base else 'no'} common ancestor.", got, "--base"))
    if not (math.isfinite(request.temperature) and request.temperature > 0):
        found.append(Problem("The temperature must be above 0.", f"{request.temperature:g}", "--temperature"))
    if request.examples < 1:
        found.append(Problem("There must be at least 1 example.", str(request.examples), "--examples"))
    return found


def _loss(model: str, request: Request, device: str) -> float:
    """Return the mean loss of one parent on the first examples, in nats: a token, or a question's right option."""
    from suture.checkpoint.load import load_model
    from suture.checkpoint.resolve import resolve_model
    from suture.evaluate import reading
    from suture.evaluate.engine import Engine
    from suture.events import track
    from suture.study.texts import own_workload

    load = own_workload(str(request.task), str(request.items), data=None)
    if load.task.kind not in ("likelihood", "choice"):
        must = "Examples must be of a task with a loss: clinic_likelihood, mts_likelihood or clinic_mcq."
        raise UsageError(Problem(must, load.task.name, "--task"))
    items = load.take(request.examples)
    if len(items) < request.examples:
        must = f"The file must hold {request.examples} examples."
        raise BadInputError(Problem(must, str(len(items)), str(request.items), "Give --examples."))
    engine = Engine(*load_model(resolve_model(model), device=device))
    with track("losses", len(items), "example") as advance:
        if load.task.kind == "choice":
            rows = reading.choose(engine, load.task, items, "", advance)
            return math.fsum(row.scores["answer_nll"] for row in rows) / len(rows)
        rows = reading.likelihood(engine, load.task, items, "", advance)
        return -math.fsum(row.scores["log_likelihood"] for row in rows) / len(rows)
