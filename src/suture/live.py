"""Merging inside a loaded model: new coefficients in place, without a disk.

The plan is that of the streamed merge, and so are the bytes: a live merge equals the checkpoint of the same recipe bit
for bit where the model holds the dtype that the recipe writes. Tensors arrive under the names of checkpoints and reach
their parameters through transformers' own conversion mapping (which joins the experts of a mixture into one parameter,
for one); where they go is a sink of one method, so that another engine than transformers can take it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from typing import Any

from suture.checkpoint.load import load_model
from suture.checkpoint.parameters import ParameterSink
from suture.checkpoint.reader import TensorReader
from suture.errors import IncompatibleError, NumericError, Problem, UsageError, refuse
from suture.merge.record import TensorRecords, numeric_problems, shares
from suture.merge.streaming import merge_into
from suture.plan import Known, Plan, make_plan
from suture.recipe import Recipe, parse_recipe


class LiveMerge:
    """A loaded model whose weights are a merge of `recipe`'s parents, with whatever coefficients are asked for.

    model, tokenizer: as transformers loads them; `merge` changes the model's parameters in place. Memory: the model,
    the buffers of a worker or two, and what a joined parameter is made of (the experts of one layer). Gram matrices of
    the parents are kept between merges. Use it in a `with` block, or close it: it holds the parents' files open.
    """

    def __init__(self, recipe: Recipe, *, dtype: str | None = None, device: str = "cpu", online: bool = False) -> None:
        """Load the donor. dtype: of the model that runs; default: the one that the recipe writes.

        Raises what make_plan raises, and UsageError for a recipe of slices, which no loaded model fits.
        """
        self._known = Known()
        self._online = online
        self.plan = self._plan(recipe)
        self._grams: dict[tuple[str, ...], dict[str, Any]] = {}
        self._stack = ExitStack()
        self._readers: dict[str, TensorReader] = {}
        self._opened(self.plan)
        held = dtype or self.plan.out_dtype or "float32"
        self.model, self.tokenizer = load_model(self.plan.donor_folder, dtype=held, device=device)
        self._sink = ParameterSink(self.model, self.plan.jobs)
        self.realised: float | None = None

    def __enter__(self) -> LiveMerge:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the parents' files."""
        self._stack.close()

    def merge(self, *, workers: int | None = None, **parameters: float | bool | str | Sequence[float]) -> float | None:
        """Merge with the recipe's parameters, changed by `parameters`, and return the realised coefficient.

        A number holds for all models, a sequence gives one value for each model that the recipe lists. Raises
        UsageError for parameters that the method does not take, NumericError for values that are not finite, and
        IntegrityError where a parent changed; the model is then half merged, and must be merged again.
        """
        return self._run(self._with(parameters), workers)

    def merge_as(self, recipe: Recipe, *, workers: int | None = None) -> float | None:
        """Merge by another recipe of whatever method and models, and return the realised coefficient.

        The output must have the tensors of the recipe that was opened; the tokenizer stays the one that was loaded.
        Raises IncompatibleError where it does not, and what `merge` and make_plan raise.
        """
        plan = self._plan(recipe)
        mine, its = ({job.name: (job.dtype, job.shape) for job in p.jobs} for p in (self.plan, plan))
        if mine != its:
            odd = sorted(name for name in mine.keys() | its.keys() if mine.get(name) != its.get(name))
            must = "A live merge must make the tensors of the model that is loaded."
            raise IncompatibleError(Problem(must, f"{len(odd)} others, the first {odd[0]}", "recipe"))
        return self._run(plan, workers)

    def _run(self, plan: Plan, workers: int | None) -> float | None:
        records = {job.name: TensorRecords() for job in plan.jobs}
        readers = self._opened(plan)
        grams = self._grams.setdefault((plan.recipe.merge_method, *plan.inputs, *_listed(plan.recipe)), {})
        self._sink.begin()
        merge_into(plan, readers, self._sink, records, workers=workers, grams=grams)
        self._sink.finish()
        refuse(NumericError, numeric_problems(plan, records, allow=()))
        for reader in readers:
            reader.check_unchanged()
        self.realised = _realised(plan, records)
        return self.realised

    def _opened(self, plan: Plan) -> list[TensorReader]:
        """The readers of the plan's checkpoints, each opened once."""
        for name, checkpoint in zip(plan.inputs, plan.checkpoints, strict=True):
            if name not in self._readers:
                self._readers[name] = self._stack.enter_context(TensorReader(checkpoint))
        return [self._readers[name] for name in plan.inputs]

    def _with(self, parameters: Mapping[str, Any]) -> Plan:
        """The plan for other parameters: of the same parents, so the same headers."""
        if not parameters:
            return self.plan
        return self._plan(with_parameters(self.plan.recipe, parameters))

    def _plan(self, recipe: Recipe) -> Plan:
        return make_plan(recipe, online=self._online, known=self._known)


def with_parameters(recipe: Recipe, parameters: Mapping[str, Any]) -> Recipe:
    """Return `recipe` with other values of its method's parameters; sequences give one for each listed model.

    Raises UsageError for unknown parameters, sequences of another length, and values out of range.
    """
    described = recipe.model_dump(mode="json", exclude_defaults=True)
    entries = described.get("models")
    if entries is None:
        must = "Parameters can be changed in a recipe of whole models."
        raise UsageError(Problem(must, "slices or modules", "recipe", "Write it with models:."))
    shared = {**(described.get("parameters") or {})}
    for name, value in parameters.items():
        key = name.rstrip("_")
        if isinstance(value, Sequence) and not isinstance(value, str):
            if len(value) != len(entries):
                must = f"{key} must have one value for each of the {len(entries)} models."
                raise UsageError(Problem(must, str(len(value)), "parameters"))
            shared.pop(key, None)
            for entry, one in zip(entries, value, strict=True):
                entry["parameters"] = {**(entry.get("parameters") or {}), key: one}
        else:
            for entry in entries:
                (entry.get("parameters") or {}).pop(key, None)
            shared[key] = value
    if shared:
        described["parameters"] = shared
    return parse_recipe(json.dumps(described), "recipe")


def fingerprint(model: Any) -> tuple[float, ...]:
    """Return the log-probability (nats) of each token of a fixed sequence: what answers shows what was loaded.

    64 token ids, spread over the vocabulary by a fixed rule; one forward pass; as computed in the model's dtype.
    """
    import torch

    vocabulary = model.get_input_embeddings().num_embeddings
    ids = torch.tensor([[(7919 * i + 104729) % vocabulary for i in range(64)]], device=model.device)
    with torch.no_grad():
        logs = torch.log_softmax(model(ids).logits[0, :-1].float(), dim=-1)
    return tuple(logs.gather(1, ids[0, 1:, None])[:, 0].tolist())


def _listed(recipe: Recipe) -> list[str]:
    """The models in the order of each section: Gram matrices are kept for one order of inputs."""
    return [entry.model for section in recipe.sections for entry in section.entries]


def _realised(plan: Plan, records: Mapping[str, TensorRecords]) -> float | None:
    sums = [records[job.name].sums for job in plan.jobs if job.action == "merge" and job.roles is not None]
    return shares(sum(sums[1:], sums[0]))[1] if sums else None
