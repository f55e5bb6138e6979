"""`suture calibrate MODEL OUT --data TEXTS --statistic gram|fisher`: statistics that merges weigh with."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from suture.cli.merge import ONLINE


def calibrate(
    model: Annotated[str, typer.Argument(help="The model's folder, or a hub id in the local cache.")],
    out: Annotated[Path, typer.Argument(help="The safetensors file to write; it must be new.")],
    data: Annotated[Path, typer.Option("--data", help="Texts, one JSON object a line.")],
    statistic: Annotated[Literal["gram", "fisher"], typer.Option(help="What to measure.")],
    field: Annotated[list[str] | None, typer.Option(help="Field of a line; several are joined. Default: text")] = None,
    length: Annotated[int, typer.Option(min=2, help="Tokens of a text that are read.")] = 1024,
    memory: Annotated[float, typer.Option(min=0.001, help="GiB for sums; less means more passes.")] = 4.0,
    dtype: Annotated[Literal["float32", "bfloat16"], typer.Option(help="In which the model runs.")] = "float32",
    device: Annotated[str, typer.Option(help="Where it runs, as torch names it.")] = "cpu",
    online: Annotated[bool, ONLINE] = False,
) -> None:
    """Measure MODEL on texts; write one tensor a parameter, under the model's names, to OUT (private, mode 0600)."""
    from suture.calibrate import Settings, described
    from suture.calibrate import calibrate as measured
    from suture.checkpoint.resolve import resolve_model
    from suture.checkpoint.spool import refuse_file
    from suture.cli.console import console
    from suture.cli.progress import progress

    refuse_file(out)
    settings = Settings(length, int(memory * 2**30), tuple(field or ("text",)), dtype, device)

    def say(text: str) -> None:
        console().print(text, highlight=False, markup=False)

    def announce(nbytes: int, passes: int) -> None:
        say(f"to write: {nbytes:,} bytes, in {passes} passes over the texts")

    with progress():
        found = measured(resolve_model(model, online=online), data, out, statistic, settings, announce=announce)
    for name, value in described(found).items():
        say(f"{name}: {value}")
    say(f"wrote {out}")
