"""`suture methods [NAME]`: the merge methods, or one of them explained from its declaration."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer


def methods(name: Annotated[str | None, typer.Argument(help="A method or a preset to explain.")] = None) -> None:
    """List the merge methods with their papers, or explain the one called NAME."""
    from suture.methods.explain import facts, preset_facts
    from suture.methods.registry import METHODS, PRESETS, get_method

    if name is None:
        _list()
    elif name in PRESETS and name not in METHODS:
        _print(name, preset_facts(PRESETS[name]))
    else:
        _print(name, facts(get_method(name).info))


def _list() -> None:
    from rich.table import Table

    from suture.cli.console import console
    from suture.methods.explain import TIERS, reference
    from suture.methods.registry import METHODS, PRESETS

    table = Table("method", "what it does", "paper", show_edge=False, pad_edge=False, box=None)
    table.columns[0].no_wrap = table.columns[2].no_wrap = True
    for tier, meaning in TIERS.items():
        table.add_section()
        table.add_row(f"[bold]{tier}", f"[bold]{meaning}")
        for info in (method.info for method in METHODS.values()):
            if info.tier == tier:
                table.add_row(info.name, info.summary, reference(info.paper))
    table.add_row("[bold]presets", "[bold]methods with their parameters given")
    for name, preset in PRESETS.items():
        table.add_row(name, preset.summary, reference(preset.paper))
    console().print(table)


def _print(name: str, facts: Sequence[tuple[str, str]]) -> None:
    from rich.table import Table
    from rich.text import Text

    from suture.cli.console import console

    table = Table.grid(padding=(0, 2))
    for word, text in facts:
        table.add_row(Text(word or name if (word, text) == facts[0] else word, style="bold"), Text(text))
    console().print(table)
