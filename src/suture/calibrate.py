"""Statistics of a model on texts, written as tensors under the model's names: what merges by evidence weigh with.

gram: for the weight (out, in) of a linear layer, the mean of x x^T over the layer's inputs x at all tokens, (in, in):
what RegMean and activation-informed merging take. fisher: for every parameter, the mean over the texts of the squared
gradient of the text's log-likelihood (the empirical Fisher of the labels given, diagonal).

The model is in memory; accumulators are bounded: what does not fit the budget waits for another pass over the texts.
No text, token or loss is ever logged; the file is private, for statistics of few texts tell about them.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from blake3 import blake3

from suture import events
from suture.checkpoint.adapter import TensorNames
from suture.checkpoint.disk import check_space
from suture.checkpoint.header import read_checkpoint
from suture.checkpoint.spool import Spool, spooled_file
from suture.errors import BadInputError, NumericError, Problem, refuse

Statistic = Literal["gram", "fisher"]
STATISTICS: tuple[Statistic, ...] = ("gram", "fisher")
PROBE = 8
SHOWN = 8


@dataclass(frozen=True, slots=True)
class Settings:
    """length: tokens of a text that are read, the rest is cut. memory: bytes for accumulators. fields: of each line of
    the file, joined by a newline. dtype, device: as torch names them.
    """

    length: int = 1024
    memory: int = 4 << 30
    fields: tuple[str, ...] = ("text",)
    dtype: str = "float32"
    device: str = "cpu"


@dataclass(frozen=True)
class Calibration:
    """What was measured. tensors: how many. left_out: parameters without a statistic, by name in memory. passes: over
    the texts. nbytes: of the file.
    """

    statistic: Statistic
    texts: int
    tokens: int
    tensors: int
    left_out: tuple[str, ...]
    passes: int
    nbytes: int


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


def read_texts(file: Path, fields: Sequence[str]) -> list[str]:
    """Read one text a line of a JSON-lines file. Raises BadInputError naming lines, never their content."""
    if not file.is_file():
        raise BadInputError(
            Problem("Texts must be a file of JSON lines.", "no such file", str(file), "Check the path.")
        )
    texts: list[str] = []
    problems: list[Problem] = []
    for number, line in enumerate(file.read_bytes().splitlines(), 1):
        if not line.strip():
            continue
        where = f"{file}, line {number}"
        try:
            entry = json.loads(line)
        except (ValueError, RecursionError):
            problems.append(Problem("A line must be a JSON object.", "unreadable JSON", where))
            continue
        parts = [entry.get(field) if isinstance(entry, dict) else None for field in fields]
        if not all(isinstance(part, str) for part in parts):
            lacking = [repr(f) for f, part in zip(fields, parts, strict=True) if not isinstance(part, str)]
            got = f"no text under {', '.join(lacking)}"
            problems.append(Problem("A line must hold the fields asked for.", got, where, "Name them with --field."))
            continue
        texts.append("\n".join(str(part) for part in parts))
    if not texts and not problems:
        problems.append(Problem("There must be texts.", "an empty file", str(file)))
    refuse(BadInputError, problems[:SHOWN])
    return texts


def calibrate(
    model: Path,
    data: Path,
    out: Path,
    statistic: Statistic,
    settings: Settings,
    *,
    announce: Callable[[int, int], None] = lambda nbytes, passes: None,
) -> Calibration:
    """Measure `statistic` of the model in folder `model` on the texts of `data`; write it to the new file `out`.

    announce: called with the bytes to be written and the number of passes, before the first one.
    Raises BadInputError for the model's or the texts' files, OutputExistsError, ResourceError where the disk is too
    small, NumericError where a statistic is not finite.
    """
    texts = read_texts(data, settings.fields)
    checkpoint = read_checkpoint(model)
    with spooled_file(out) as spool:
        from suture.checkpoint.load import load_model

        loaded, tokenizer = load_model(model, dtype=settings.dtype, device=settings.device)
        rows = _token_rows(tokenizer, texts, settings, data)
        names = TensorNames(checkpoint.tensors)
        measure = _Gram(loaded, rows) if statistic == "gram" else _Fisher(loaded, rows)
        shares, left_out = measure.shares(names)
        nbytes = sum(4 * share.elements * len(share.names) for share in shares)
        check_space(out.parent, 2 * nbytes)
        groups = list(grouped(shares, settings.memory, measure.width))
        announce(nbytes, len(groups))
        with events.track(f"calibrate {statistic}", len(groups) * len(rows), "texts") as advance:
            for group in groups:
                measure.group(group, spool, lambda: advance(1))
        tokens = sum(len(row) for row in rows)
        spool.metadata |= {
            "statistic": statistic,
            "texts": str(len(rows)),
            "tokens": str(tokens),
            "data": blake3(data.read_bytes()).hexdigest(),
        }
    count = sum(len(share.names) for share in shares)
    return Calibration(statistic, len(rows), tokens, count, tuple(left_out), len(groups), nbytes)


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


def _token_rows(tokenizer: Any, texts: Sequence[str], settings: Settings, data: Path) -> list[Any]:
    import torch

    rows = []
    problems = []
    for number, text in enumerate(texts, 1):
        ids = tokenizer(text, truncation=True, max_length=settings.length)["input_ids"]
        if len(ids) < 2:
            problems.append(Problem("A text must have 2 tokens or more.", f"{len(ids)} in text {number}", str(data)))
        rows.append(torch.tensor(ids, device=settings.device))
    refuse(BadInputError, problems[:SHOWN])
    return rows


class _Stop(Exception):  # noqa: N818 -- no error: it ends a forward pass of which nothing more is needed
    """Everything that this pass is for has been seen."""


class _Gram:
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


class _Fisher:
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


def described(found: Calibration) -> Mapping[str, str]:
    """What the command tells, by what it is."""
    left = ", ".join(found.left_out[:SHOWN]) + (" ..." if len(found.left_out) > SHOWN else "")
    return {
        "texts": f"{found.texts}, {found.tokens:,} tokens",
        "tensors": str(found.tensors),
        **({"without a statistic": left} if found.left_out else {}),
    }
