"""SPACE.yaml: what all candidates share, what varies, by what they are judged, and how much may be read.

Ranges come from the methods' own declarations; a space may narrow them and never widen them. docs/search.md explains
the keys.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

import yaml
from blake3 import blake3
from pydantic import Field, model_validator

from suture.compare.axes import orientation
from suture.errors import Problem, SutureError, UsageError, refuse
from suture.methods.registry import METHODS, MethodInfo, Parameter
from suture.recipe import Value, parse_recipe
from suture.recipe.schema import DtypeName
from suture.strict_yaml import StrictModel, load_yaml, nearest
from suture.tasks.registry import TASKS

COEFFICIENT: Final = "coefficient"
MOST_POINTS: Final = 10_000
JUDGED_BY: Final = ("contrast", "choice", "likelihood", "generation", "ifeval")  # kinds of tasks
Share = Annotated[float, Field(gt=0, le=1)]
Count = Annotated[int, Field(ge=1)]


class Template(StrictModel):
    """Keys of a recipe that all candidates share; base_model is the common ancestor, for methods of task vectors."""

    general: str
    clinical: str
    base_model: str | None = None
    parameters: dict[str, Value] = Field(default_factory=dict)
    dtype: DtypeName | None = None
    rounding: Literal["stochastic", "nearest"] = "stochastic"
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0

    @model_validator(mode="after")
    def _two_models(self) -> Self:
        if self.general == self.clinical:
            raise ValueError("general and clinical must be two models")
        return self


class Varied(StrictModel):
    """How one parameter varies: within [low, high], in steps where one is given, or over choices.

    anchors: values of a gradient from the first layer to the last. filters: parts of tensor names (such as self_attn,
    mlp) that have values of their own; all other tensors share one more.
    """

    low: float | None = None
    high: float | None = None
    step: Annotated[float, Field(gt=0)] | None = None
    choices: Annotated[tuple[Value, ...], Field(min_length=1)] | None = None
    anchors: Annotated[int, Field(ge=1, le=64)] = 1
    filters: tuple[Annotated[str, Field(min_length=1)], ...] = ()

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        if self.choices is not None and (self.low, self.high, self.step) != (None, None, None):
            raise ValueError("give either choices or a range")
        if len(set(self.filters)) != len(self.filters):
            raise ValueError("each filter must be given once")
        return self


class Goal(StrictModel):
    """One objective: a task, its metric, and what the metric is worth. Tasks that write cost far more than others.

    unit: how much of the metric counts as one, in the metric's unit; by default the difference between the parents on
    the development split. weight: how much one such unit counts beside those of the other objectives. items,
    test_items: files of items of one's own; without test_items, one set is divided. new_tokens: the longest answer of a
    task that writes, instead of the task's own limit.
    """

    task: str
    metric: str = ""
    axis: Literal["instruction", "medical", "clinical"] | None = None
    direction: Literal["more", "less"] | None = None
    unit: Annotated[float, Field(gt=0)] | None = None
    weight: Annotated[float, Field(gt=0)] = 1.0
    items: str | None = None
    test_items: str | None = None
    new_tokens: Count | None = None

    @model_validator(mode="after")
    def _measured(self) -> Self:
        if self.task not in TASKS:
            raise ValueError(f"'{self.task}' must be a task; {nearest(self.task, TASKS)}")
        task = TASKS[self.task]
        if task.kind not in JUDGED_BY:
            able = ", ".join(name for name, one in TASKS.items() if one.kind in JUDGED_BY)
            raise ValueError(f"'{self.task}' judges no candidate alone; tasks that do: {able}")
        if self.new_tokens is not None and not task.max_new_tokens:
            raise ValueError(f"new_tokens is for tasks that write, got '{self.task}'")
        if self.metric and self.metric not in task.metrics:
            raise ValueError(f"'{self.metric}' must be a metric of {self.task}; {nearest(self.metric, task.metrics)}")
        if self.test_items is not None and self.items is None:
            raise ValueError("test_items needs items")
        return self

    @property
    def measure(self) -> str:
        """The metric: as given, else the task's primary one."""
        return self.metric or TASKS[self.task].primary

    @property
    def name(self) -> str:
        """task.metric."""
        return f"{self.task}.{self.measure}"

    @property
    def sign(self) -> int:
        """1 where more is better, -1 where less is."""
        return {"more": 1, "less": -1}[self.direction] if self.direction else orientation(self.measure)


class Screening(StrictModel):
    """The look at each candidate before it is raced (`suture.search.screen`).

    texts: user turns that the parents answer. new_tokens: of an answer, at most. most: how many times farther from both
    parents than they lie from one another a candidate may lie.
    """

    texts: Annotated[int, Field(ge=2, le=64)] = 8
    new_tokens: Annotated[int, Field(ge=1, le=256)] = 32
    most: Annotated[float, Field(gt=0)] = 1.5


class Space(StrictModel):
    """A search. candidates: recipes tried at most. items: read at most on the development split, as a share of all
    (candidate, item) pairs or as a number; null: only the confidence decides. dev: share of the clusters of items that
    are for development. goal: "best" races for the best weighted sum, "front" keeps all that nothing dominates.
    finalists: measured on the test split. batches: rounds in which the sampler learns from what was measured; null: one
    for a grid that is tried whole, else of four candidates each. sampler: what proposes after the first round, a
    Gaussian process or TPE; auto: the first where numbers of one method vary and no words. leakage: what is done where
    a file of test items shares eight words in a row with development items. screen: discard outliers before anything is
    read of them; null: none.
    """

    name: Annotated[str, Field(pattern="^[a-z0-9][a-z0-9._-]{0,63}$")]
    recipe: Template
    methods: Annotated[tuple[str, ...], Field(min_length=1)]
    vary: dict[str, Varied] = Field(default_factory=dict)
    objectives: Annotated[tuple[Goal, ...], Field(min_length=1)]
    candidates: Annotated[int, Field(ge=2, le=MOST_POINTS)] = 21
    batches: Count | None = None
    sampler: Literal["auto", "gp", "tpe"] = "auto"
    items: Annotated[float, Field(gt=0)] | None = None
    confidence: Annotated[float, Field(gt=0, lt=1)] = 0.95
    goal: Literal["best", "front"] = "best"
    looks: Annotated[int, Field(ge=1, le=12)] = 5
    dev: Annotated[float, Field(gt=0, lt=1)] = 0.5
    finalists: Count = 3
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    data: str | None = None
    leakage: Literal["refuse", "leave-out", "allow"] = "refuse"
    screen: Screening | None = None

    @property
    def digest(self) -> str:
        """BLAKE3 of what the space says, whatever the order and defaults of the file."""
        from suture.search.candidates import rounds, sampler

        said = self.model_dump(mode="json") | {"batches": rounds(self), "sampler": sampler(self)}
        if self.screen is None:
            del said["screen"]  # as before there was one, so that such searches go on
        if said["batches"] == 1:
            del said["sampler"]  # likewise: one batch learns from nothing
        return blake3(yaml.safe_dump(said, sort_keys=True).encode()).hexdigest()

    @property
    def infos(self) -> Mapping[str, MethodInfo]:
        """What the methods declare, by name."""
        return {name: METHODS[name].info for name in self.methods}


def load_space(path: Path) -> Space:
    """Read SPACE.yaml. Raises BadInputError (no file) or UsageError with every problem found."""
    space = load_yaml(path, Space)
    refuse(UsageError, space_problems(space, str(path)))
    return space


def space_problems(space: Space, origin: str) -> list[Problem]:
    """Return what is wrong with a space beyond single keys: unknown methods and parameters, ranges, recipes."""
    from suture.search.candidates import dimensions, recipe_of, trial_point

    where = f"{origin}, methods"
    found = [
        Problem("A method must be registered.", f"'{m}'", where, nearest(m, METHODS))
        for m in space.methods
        if m not in METHODS
    ]
    if len(set(space.methods)) != len(space.methods):
        found.append(Problem("Each method must be named once.", ", ".join(space.methods), where))
    if len({goal.name for goal in space.objectives}) != len(space.objectives):
        got = ", ".join(goal.name for goal in space.objectives)
        found.append(Problem("Each objective must be named once.", got, f"{origin}, objectives"))
    limits = {(goal.task, goal.new_tokens) for goal in space.objectives}
    if len(limits) != len({goal.task for goal in space.objectives}):
        must = "Objectives of one task must have the same new_tokens: each item is answered once."
        found.append(Problem(must, "different ones", f"{origin}, objectives"))
    if found:
        return found
    for name, varied in space.vary.items():
        found += _varied_problems(space, name, varied, f"{origin}, vary.{name}")
    known = _known(space)
    for name in space.recipe.parameters:
        place = f"{origin}, recipe.parameters.{name}"
        if name not in known:
            got = f"'{name}'"
            found.append(Problem("A parameter must be one of the methods'.", got, place, nearest(name, known)))
        elif name in space.vary:
            found.append(Problem("A parameter either varies or is fixed.", "both", place))
    if found:
        return found
    if len(space.methods) == 1 and not dimensions(space):
        return [Problem("Something must vary.", "one method and nothing else", f"{origin}, vary")]
    for method in space.methods:
        try:
            parse_recipe(recipe_of(space, trial_point(space, method)), method)
        except SutureError as error:
            found += error.problems
    return found


def declared(space: Space, name: str, method: str) -> Parameter | None:
    """Return what `method` declares for the varied name; of the coefficient, the parameter that stands for it."""
    info = space.infos[method]
    by_name = {parameter.name: parameter for parameter in info.parameters}
    if name != COEFFICIENT:
        return by_name.get(name)
    way = by_name.get("t")
    if way is not None and (way.low, way.high) == (0.0, 1.0):
        return way
    weight = by_name.get("weight")
    return weight if weight is not None and weight.per_model else None


def bounds(varied: Varied, parameter: Parameter, name: str) -> tuple[float, float]:
    """Return the range of a number: as given, else as declared; of the coefficient [0, 1] where weights are free."""
    low, high = (0.0, 1.0) if name == COEFFICIENT else (parameter.low, parameter.high)
    return (low if varied.low is None else varied.low), (high if varied.high is None else varied.high)


def _known(space: Space) -> dict[str, list[Parameter]]:
    known: dict[str, list[Parameter]] = {}
    for info in space.infos.values():
        for parameter in info.parameters:
            known.setdefault(parameter.name, []).append(parameter)
    return known


def _varied_problems(space: Space, name: str, varied: Varied, where: str) -> list[Problem]:
    takers = {m: p for m in space.methods if (p := declared(space, name, m)) is not None}
    if not takers:
        words = [*_known(space), COEFFICIENT]
        must = f"A varied parameter must be one of {', '.join(space.methods)}."
        return [Problem(must, f"'{name}'", where, nearest(name, words))]
    if name != COEFFICIENT and name in ("t", "weight"):
        return [Problem("Shares of the two models vary as one.", f"'{name}'", where, f"Write '{COEFFICIENT}'.")]
    return [p for method, one in takers.items() for p in _range_problems(varied, one, name, f"{where} ({method})")]


def _range_problems(varied: Varied, parameter: Parameter, name: str, where: str) -> list[Problem]:
    if parameter.kind in ("bool", "choice") and (varied.low, varied.high, varied.step) != (None, None, None):
        return [Problem(parameter.must, "a range", where, "Write 'choices: […]' or nothing.")]
    if varied.choices is not None or parameter.kind in ("bool", "choice"):
        said = [(value, parameter.problem(value)) for value in varied.choices or ()]
        return [Problem(parameter.must, repr(value), where) for value, problem in said if problem]
    low, high = bounds(varied, parameter, name)
    if not (abs(low) < float("inf") and abs(high) < float("inf")):
        return [Problem(f"{name} has no bounds of its own.", parameter.domain, where, "Give low and high.")]
    if low >= high:
        return [Problem("low must be below high.", f"{low:g} and {high:g}", where)]
    if varied.step is not None and varied.step > high - low:
        return [Problem("step must fit between low and high.", f"{varied.step:g}", where)]
    ends: tuple[Any, ...] = (low, high)
    if parameter.kind == "int":
        ends = tuple(int(end) if float(end).is_integer() else end for end in ends)
    return [Problem(parameter.must, f"{end:g} as an end of the range", where) for end in ends if parameter.problem(end)]
