"""What is measured: Grams of the inputs of linear layers, squared gradients of parameters; in groups that fit."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from suture.checkpoint.adapter import TensorNames
from suture.checkpoint.spool import Spool
from suture.errors import NumericError, Problem

PROBE = 8
"""Tokens of the pass that finds which layers see the same inputs."""


@dataclass(frozen=True)
class Share:
    """Tensors with one accumulator of `elements` numbers: linear layers that see the same inputs, or one parameter.

    names: in the checkpoint. modules: in memory. known: whether its place in
    the order of layers is known, so that a pass may end behind it.
    """

    names: tuple[str, ...]
    modules: tuple[str, ...]
    elements: int
    known: bool = True


def grouped(shares: Sequence[Share], memory: int, width: int) -> Iterator[list[Share]]:
    """Yield runs of shares whose accumulators of `width` bytes an element fit `memory`; a larger one goes alone."""
    group: list[Share] = []
    filled = 0
    for share in shares:
        needed = width * share.elements
        if group and filled + needed > memory:
            yield group
            group, filled = [], 0
        group.append(share)
        filled += needed
    if group:
        yield group


class _Stop(Exception):  # noqa: N818 -- no error: it ends a forward pass of which nothing more is needed
    """Everything that this pass is for has been seen."""


class GramMeasure:
    """Grams of the inputs of linear layers: products in the model's dtype but at least fp32, sums in fp64."""

    width = 8

    def __init__(self, model: Any, rows: Sequence[Any]) -> None:
        self._model = model
        self._rows = rows

    def shares(self, names: TensorNames) -> tuple[list[Share], list[str]]:
        """Return the layers that see the same inputs, in the order in which they run, and parameters of no layer."""
        import torch

        modules = {
            name: module
            for name, module in self._model.named_modules()
            if isinstance(module, torch.nn.Linear) and names.find(f"{name}.weight") is not None
        }
        seen: dict[int, tuple[Any, list[str]]] = {}  # the input itself is held, so that no other gets its id

        def note(name: str) -> Any:
            return lambda _, given: seen.setdefault(id(given[0]), (given[0], []))[1].append(name)

        hooks = [module.register_forward_pre_hook(note(name)) for name, module in modules.items()]
        self._run(self._rows[0][:PROBE])
        for hook in hooks:
            hook.remove()
        together = [list(dict.fromkeys(found)) for _, found in seen.values()]
        known = {name for found in together for name in found}
        once = len(known) == sum(map(len, together))
        if not once:  # a layer that runs several times a pass sees several inputs
            together = [[name] for name in modules if name in known]
        later = [[name] for name in modules if name not in known]
        shares = [
            Share(
                tuple(str(names.find(f"{name}.weight")) for name in found),
                tuple(found),
                modules[found[0]].in_features ** 2,
                known=once and found not in later,
            )
            for found in (*together, *later)
        ]
        covered = {f"{name}.weight" for name in modules}
        left = [name for name, value in self._model.named_parameters() if value.dim() > 1 and name not in covered]
        return shares, left

    def group(self, shares: Sequence[Share], spool: Spool, advance: Any) -> None:
        """Run all texts and write the Grams of `shares`."""
        import torch

        sums = [torch.zeros((math.isqrt(s.elements),) * 2, dtype=torch.float64) for s in shares]
        counts = [0] * len(shares)
        stop_after = len(shares) - 1 if all(share.known for share in shares) else None

        def add(position: int) -> Any:
            def hook(_: Any, given: Any) -> None:
                x = given[0].detach().reshape(-1, given[0].shape[-1]).float()
                sums[position] += (x.T @ x).double().cpu()
                counts[position] += x.shape[0]
                if position == stop_after:
                    raise _Stop

            return hook

        modules = dict(self._model.named_modules())
        hooks = [modules[s.modules[0]].register_forward_pre_hook(add(i)) for i, s in enumerate(shares)]
        try:
            for row in self._rows:
                self._run(row)
                advance()
        finally:
            for hook in hooks:
                hook.remove()
        for share, total, count in zip(shares, sums, counts, strict=True):
            _write(spool, share, total / max(count, 1))

    def _run(self, row: Any) -> None:
        import contextlib

        import torch

        with torch.no_grad(), contextlib.suppress(_Stop):
            self._model(row[None], use_cache=False)


class FisherMeasure:
    """Squared gradients of parameters, summed in fp32; only a group's parameters have gradients at a time."""

    width = 8  # the sum and the gradient, fp32 each

    def __init__(self, model: Any, rows: Sequence[Any]) -> None:
        self._model = model
        self._rows = rows

    def shares(self, names: TensorNames) -> tuple[list[Share], list[str]]:
        """Return all parameters that stand in the checkpoint, and the others."""
        shares, left = [], []
        for name, value in self._model.named_parameters():
            stored = names.find(name)
            if stored is None:
                left.append(name)
            else:
                shares.append(Share((stored,), (name,), value.numel()))
        return shares, left

    def group(self, shares: Sequence[Share], spool: Spool, advance: Any) -> None:
        """Run all texts, forward and back, and write the Fisher of `shares`."""
        import torch

        parameters = dict(self._model.named_parameters())
        mine = [parameters[share.modules[0]] for share in shares]
        for value in parameters.values():
            value.requires_grad_(False)
        for value in mine:
            value.requires_grad_(True)
        sums = [torch.zeros(value.shape, dtype=torch.float32) for value in mine]
        for row in self._rows:
            logits = self._model(row[None], use_cache=False).logits[0, :-1].float()
            likelihood = torch.log_softmax(logits, -1).gather(1, row[1:, None]).sum()
            gradients = torch.autograd.grad(likelihood, mine, allow_unused=True)
            for total, gradient in zip(sums, gradients, strict=True):
                if gradient is not None:
                    total += gradient.float().square().cpu()
            advance()
        for share, total in zip(shares, sums, strict=True):
            _write(spool, share, total / len(self._rows))


def _write(spool: Spool, share: Share, values: Any) -> None:
    if not bool(values.isfinite().all()):
        raise NumericError(Problem("A statistic must be finite.", "NaN or infinite values", share.names[0]))
    array = values.float().numpy()
    for name in share.names:
        spool.add(name, array)
