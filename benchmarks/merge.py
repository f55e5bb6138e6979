"""How close a merge comes to a plain copy of its files, in time and memory, and how a peer fares in the same run.

    python benchmarks/merge.py [--shape 1b|8b] [--layers N] [--methods linear,slerp,…] [--pairs 3] [--work FOLDER]
                               [--out FOLDER] [--digests] [--disk] [--peer NAME="command {recipe} {out}"]

Random related bf16 checkpoints of the named shape are made in --work once. Programs take turns; a copy floor with as
many inputs stands beside each run, and ratios are taken pair by pair. Printed: median [least, most] of the ratio, from
the first read to the last write (as the program itself reports it) and of the whole command, CPU seconds, peak
anonymous and resident memory, bytes, and how anonymous memory went. Outputs in memory go to pages that the host leaves
alone (ballast.py). With --disk the page cache is dropped before each run (root), and fsync is on.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ballast import held
from measure import Measured, run
from shapes import make_models, shape_of

HERE = Path(__file__).parent
RECIPES = {
    "linear": (2, "merge_method: linear", {"weight": 0.5}, ""),
    "task_arithmetic": (3, "merge_method: task_arithmetic\nbase_model: {0}", {"weight": 0.5}, ""),
    "slerp": (2, "merge_method: slerp\nbase_model: {0}", {}, "parameters: {{t: 0.5}}"),
    "nuslerp": (2, "merge_method: nuslerp", {"weight": 0.5}, ""),
    "model_stock": (3, "merge_method: model_stock\nbase_model: {0}", {}, ""),
    "dare_linear": (
        3,
        "merge_method: dare_linear\nbase_model: {0}",
        {"weight": 0.5, "density": 0.5},
        "parameters: {{rescale: expectation}}",
    ),
    "dare_linear-l1": (
        3,
        "merge_method: dare_linear\nbase_model: {0}",
        {"weight": 0.5, "density": 0.5},
        "parameters: {{rescale: l1}}",
    ),
    "ties": (3, "merge_method: ties\nbase_model: {0}", {"weight": 0.5, "density": 0.5}, ""),
    "breadcrumbs": (3, "merge_method: breadcrumbs\nbase_model: {0}", {"weight": 0.5, "density": 0.5}, ""),
    "della": (3, "merge_method: della\nbase_model: {0}", {"weight": 0.5, "density": 0.5, "epsilon": 0.1}, ""),
}


@dataclass
class Program:
    """A command to measure: how many inputs it reads, and its runs with their floors."""

    name: str
    inputs: int
    command: list[str]
    own: bool
    runs: list[tuple[Measured, float, Measured, float]] = field(default_factory=list)


def main() -> None:
    """Measure as the arguments say and print the table."""
    arguments = _arguments()
    shape = shape_of(arguments.shape, arguments.layers)
    models = make_models(shape, arguments.work / f"{arguments.shape}-{shape.layers}", 3)
    programs = _programs(arguments, models)
    size = sum(file.stat().st_size for file in models[0].glob("*.safetensors"))
    print(f"{arguments.shape}, {shape.layers} layers: {size / 1e9:.2f} GB a model, {arguments.pairs} pairs", flush=True)
    with contextlib.nullcontext() if arguments.disk else held():
        for program in programs:
            if program.own:  # compiles its loops once; a peer compiles nothing
                _once(program, models, arguments, warm=True)
        for _ in range(arguments.pairs):
            for program in programs:
                program.runs.append(_once(program, models, arguments, warm=False))
    print(_table(programs))
    print(_curves(programs))
    if arguments.json:
        arguments.json.write_text(json.dumps([_row(program) for program in programs], indent=1) + "\n")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", default="1b", choices=["tiny", "1b", "8b"])
    parser.add_argument("--layers", type=int)
    parser.add_argument("--methods", default=",".join(RECIPES))
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--work", type=Path, default=Path("/dev/shm/suture-benchmark"))
    parser.add_argument("--out", type=Path, default=None, help="where outputs go; default: beside the models")
    parser.add_argument("--digests", action="store_true")
    parser.add_argument("--disk", action="store_true", help="drop caches before each run, fsync on")
    parser.add_argument("--rounding", default="stochastic", choices=["stochastic", "nearest"])
    parser.add_argument("--peer", action="append", default=[], help='NAME="command {recipe} {out}", each method')
    parser.add_argument("--json", type=Path)
    found = parser.parse_args()
    found.out = found.out or found.work / "out"
    return found


def _programs(arguments: argparse.Namespace, models: Sequence[Path]) -> list[Program]:
    programs = []
    for method in arguments.methods.split(","):
        inputs = RECIPES[method][0]
        own = _recipe(method, models, arguments, own=True)
        flags = [
            "--no-cache",
            *(() if arguments.digests else ("--no-digests",)),
            *(() if arguments.disk else ("--no-sync",)),
        ]
        suture = [str(Path(sys.executable).with_name("suture")), "merge", str(own), str(arguments.out), *flags]
        programs.append(Program(method, inputs, suture, own=True))
        for peer in arguments.peer:
            name, _, command = peer.partition("=")
            theirs = str(_recipe(method, models, arguments, own=False))
            words = [word.format(recipe=theirs, out=arguments.out) for word in command.split()]
            programs.append(Program(f"{name} {method}", inputs, words, own=False))
    return programs


def _recipe(method: str, models: Sequence[Path], arguments: argparse.Namespace, *, own: bool) -> Path:
    count, head, parameters, tail = RECIPES[method]
    lines = [head.format(*models), "models:"]
    for number in range(count):
        given = json.dumps(parameters) if number or "base_model" not in head else "{}"
        if method == "slerp" or number or "base_model" not in head:
            lines.append(f"  - {{model: {models[number]}, parameters: {given}}}")
    lines += [tail.format()] if tail and (own or "rescale" not in tail) else []
    lines += [f"general: {models[0]}", f"rounding: {arguments.rounding}"] if own else []
    lines += ["dtype: bfloat16"] if own else ["dtype: float32", "out_dtype: bfloat16"]
    file = arguments.work / f"{'suture' if own else 'peer'}-{method}.yaml"
    file.write_text("\n".join(lines) + "\n")
    return file


def _once(
    program: Program, models: Sequence[Path], arguments: argparse.Namespace, *, warm: bool
) -> tuple[Measured, float, Measured, float]:
    floor_command = [
        sys.executable,
        str(HERE / "copy_floor.py"),
        str(arguments.out),
        *map(str, models[: program.inputs]),
    ]
    floor_command += ["--sync"] if arguments.disk else []
    _fresh(arguments)
    floor = run(floor_command)
    floor_inner = float(floor.output)
    _fresh(arguments)
    measured = run(program.command)
    inner = measured.wall
    if program.own:
        inner = json.loads((arguments.out / "manifest.json").read_text())["seconds"]
    if not warm:
        print(f"  {program.name}: {inner:.2f} s, floor {floor_inner:.2f} s", flush=True)
    _fresh(arguments)
    return measured, inner, floor, floor_inner


def _fresh(arguments: argparse.Namespace) -> None:
    """No output, and on disk no cache: a run must not pay for its predecessor."""
    shutil.rmtree(arguments.out, ignore_errors=True)
    if arguments.disk:
        subprocess.run(["sync"], check=True)
        Path("/proc/sys/vm/drop_caches").write_text("3")
        time.sleep(1)


def _row(program: Program) -> dict[str, object]:
    runs = program.runs
    return {
        "program": program.name,
        "seconds": [inner for _, inner, _, _ in runs],
        "floor": [floor for _, _, _, floor in runs],
        "ratio": [inner / floor for _, inner, _, floor in runs],
        "whole_ratio": [measured.wall / floor.wall for measured, _, floor, _ in runs],
        "wall": [measured.wall for measured, _, _, _ in runs],
        "user": [measured.user for measured, _, _, _ in runs],
        "system": [measured.system for measured, _, _, _ in runs],
        "floor_cpu": [floor.cpu for _, _, floor, _ in runs],
        "anonymous": max(measured.anonymous for measured, _, _, _ in runs),
        "resident": max(measured.resident for measured, _, _, _ in runs),
        "read": runs[-1][0].read,
        "written": runs[-1][0].written,
    }


def _table(programs: Sequence[Program]) -> str:
    head = ["program", "ratio to the copy floor", "s", "whole command", "s", "user s", "sys s", "floor cpu s"]
    head += ["anon MB", "res MB", "GB in", "GB out"]
    rows: list[Sequence[str]] = [head]
    for program in programs:
        row = _row(program)
        rows.append(
            (
                program.name,
                _spread(row["ratio"]),
                f"{statistics.median(row['seconds']):.2f}",  # type: ignore[call-overload]
                _spread(row["whole_ratio"]),
                f"{statistics.median(row['wall']):.2f}",  # type: ignore[call-overload]
                f"{statistics.median(row['user']):.2f}",  # type: ignore[call-overload]
                f"{statistics.median(row['system']):.2f}",  # type: ignore[call-overload]
                f"{statistics.median(row['floor_cpu']):.2f}",  # type: ignore[call-overload]
                f"{row['anonymous'] / 1e6:.0f}",  # type: ignore[operator]
                f"{row['resident'] / 1e6:.0f}",  # type: ignore[operator]
                f"{row['read'] / 1e9:.2f}",  # type: ignore[operator]
                f"{row['written'] / 1e9:.2f}",  # type: ignore[operator]
            )
        )
    widths = [max(len(row[i]) for row in rows) for i in range(len(head))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)


def _curves(programs: Sequence[Program], points: int = 60) -> str:
    """Anonymous memory over the whole command of each program's last run, in eighths of its largest."""
    lines = ["anonymous memory over time, and its largest in MB"]
    for program in programs:
        last = program.runs[-1][0]
        parts = [last.curve[i * len(last.curve) // points : (i + 1) * len(last.curve) // points] for i in range(points)]
        bars = "".join(" ▁▂▃▄▅▆▇█"[round(8 * max(part) / last.anonymous)] for part in parts if part)
        lines.append(f"{program.name:24} {bars} {last.anonymous / 1e6:.0f}")
    return "\n".join(lines)


def _spread(values: object) -> str:
    assert isinstance(values, list)
    return f"{statistics.median(values):.2f} [{min(values):.2f}, {max(values):.2f}]"


if __name__ == "__main__":
    main()
