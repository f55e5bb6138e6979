"""Random recipes, run by mergekit 0.1.5 and by Suture beside one another: `make compat`.

    python tests/golden/compat/beside.py PYTHON_OF_MERGEKIT [--recipes 60] [--seed 0]

Prints a table: for each method how many recipes came out equal bit for bit, within the tolerance (see test_compat.py),
beyond it, or were refused by one program or by both. Ends with 1 where one lies beyond, or where Suture alone refuses.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import yaml

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))
SPARSE = ("ties", "breadcrumbs", "breadcrumbs_ties")
THEIRS = (
    *("linear", "slerp", "nuslerp", "multislerp", "karcher", "task_arithmetic", *SPARSE, "sce", "ram", "ramplus_tl"),
    *("model_stock", "nearswap", "arcee_fusion", "passthrough"),
)
FLIPS = {"arcee_fusion": 0.002}
"""Its threshold is a quantile of scores that need exponentials: an element on the threshold goes either way."""
OUTCOMES = ("equal", "within", "beyond", "refused by both", "refused by ours", "refused by theirs")


def setting(draw: random.Random, low: float, high: float) -> Any:
    """A scalar, a gradient, or a list with a filter."""

    def value() -> Any:
        return round(draw.uniform(low, high), 4)

    kind = draw.random()
    if kind < 0.5:
        return value()
    gradient = [value() for _ in range(draw.randint(1, 4))]
    if kind < 0.75:
        return gradient
    part = draw.choice(["self_attn", "mlp", "layernorm", "embed", "layers.1.", "*"])
    return [{"filter": part, "value": draw.choice([value(), gradient])}, {"value": value()}]


def shared(draw: random.Random, method: str) -> dict[str, Any]:
    """Shared parameters of a method."""
    flag = draw.random() < 0.5
    if method in ("task_arithmetic", *SPARSE):
        return {"normalize": flag, "lambda": setting(draw, 0.3, 1.5)}
    return {
        "linear": lambda: {"normalize": flag},
        "slerp": lambda: {"t": setting(draw, 0.0, 1.0)},
        "nuslerp": lambda: {"nuslerp_flatten": flag, "nuslerp_row_wise": draw.random() < 0.5},
        "multislerp": lambda: {"normalize_weights": flag},
        "karcher": lambda: {"max_iter": draw.randint(1, 12)},
        "sce": lambda: {"select_topk": round(draw.uniform(0.05, 1.0), 3)},
        "ram": lambda: {"epsilon": round(draw.uniform(1e-5, 2e-2), 5)},
        "ramplus_tl": lambda: {"epsilon": round(draw.uniform(1e-5, 2e-2), 5), "r": 0.2, "alpha": 0.4},
        "model_stock": lambda: {"filter_wise": flag},
        "nearswap": lambda: {"t": round(draw.uniform(1e-3, 3e-2), 4)},
    }.get(method, dict)()


def random_recipe(draw: random.Random, method: str) -> str:
    """YAML of one recipe for the models of inputs.py."""
    suffix = "32" if method in SPARSE or method == "sce" else draw.choice(["", "32"])  # no equal magnitudes
    based = method not in ("linear", "karcher", "passthrough") and not (
        method in ("nuslerp", "multislerp") and draw.random() < 0.5
    )
    alone = ("slerp", "nearswap", "arcee_fusion", "passthrough")
    count = 1 if method in alone else 2 if method == "nuslerp" else draw.choice([2, 3])
    names = draw.sample("bcd", count)
    weighted = ("linear", "nuslerp", "multislerp", "task_arithmetic", *SPARSE)
    models: list[dict[str, Any]] = []
    for name in names:
        own: dict[str, Any] = {"weight": setting(draw, 0.05, 1.2)} if method in weighted else {}
        if method in SPARSE:
            own["density"] = setting(draw, 0.05, 1.0)
        models.append({"model": f"{name}{suffix}", **({"parameters": own} if own else {})})
    if based and draw.random() < 0.5:
        models.insert(draw.randint(0, len(models)), {"model": f"a{suffix}"})
    found: dict[str, Any] = {"merge_method": method, "parameters": shared(draw, method)}
    if based:
        found["base_model"] = f"a{suffix}"
    if draw.random() < 0.3 and (not based or any(model["model"] == f"a{suffix}" for model in models)):
        cuts = [[0, 2], [0, 1], [1, 2]]
        found["slices"] = [
            {"sources": [{**model, "layer_range": layers} for model in models]} for layers in draw.sample(cuts, 2)
        ]
    else:
        found["models"] = models
    return yaml.safe_dump({**found, "dtype": "float32", "out_dtype": "bfloat16"}, sort_keys=False)


def outcome(folder: Path, name: str, method: str, refused: dict[str, str]) -> tuple[str, str]:
    """Run Suture on one recipe and compare; return the outcome and what there is to say."""
    import numpy as np
    from safetensors.torch import load_file
    from test_compat import SHARE, UNITS, distances

    from suture.errors import SutureError
    from suture.merge import execute
    from suture.plan import make_plan
    from suture.recipe import load_recipe

    try:
        execute(make_plan(load_recipe(folder / f"{name}.yaml", compat=True)), folder / f"{name}.ours", workers=1)
    except SutureError as error:
        return ("refused by both" if name in refused else "refused by ours"), str(error)
    if name in refused:
        return "refused by theirs", refused[name]
    ours, theirs = (load_file(folder / f"{name}.{who}" / "model.safetensors") for who in ("ours", "theirs"))
    if {n: (t.shape, t.dtype) for n, t in ours.items()} != {n: (t.shape, t.dtype) for n, t in theirs.items()}:
        return "beyond", "other names, shapes or dtypes"
    apart = np.concatenate([distances(ours[tensor], theirs[tensor]).ravel() for tensor in theirs])
    said = f"{np.mean(apart > 0):.4%} differ, by at most {apart.max()} units"
    if not apart.any():
        return "equal", said
    within = (apart.max() <= UNITS and np.mean(apart > 0) <= SHARE) or np.mean(apart > 0) <= FLIPS.get(method, 0.0)
    return ("within" if within else "beyond"), said


def main() -> int:
    """Run everything; return the exit code."""
    from inputs import write_models

    from suture.methods.registry import METHODS

    parser = argparse.ArgumentParser()
    parser.add_argument("python")
    parser.add_argument("--recipes", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    draw = random.Random(options.seed)
    methods = [method for method in THEIRS if method in METHODS]
    counts: dict[str, Counter[str]] = {method: Counter() for method in methods}
    bad = 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_models(folder)
        recipes = {f"{n:04d}": methods[n % len(methods)] for n in range(options.recipes)}
        for stem, method in recipes.items():
            (folder / f"{stem}.yaml").write_text(random_recipe(draw, method))
        subprocess.run([options.python, str(HERE / "make.py"), name], check=True, capture_output=True)
        refused = json.loads((folder / "refused.json").read_text())
        os.chdir(folder)
        for stem, method in recipes.items():
            found, said = outcome(folder, stem, method, refused)
            counts[method][found] += 1
            if found in ("beyond", "refused by ours", "refused by theirs"):
                bad += found != "refused by theirs"
                print(f"--- {found}: {said}\n{(folder / f'{stem}.yaml').read_text()}")
    print(f"{'method':18}" + "".join(f"{word:>18}" for word in OUTCOMES))
    for method, row in counts.items():
        print(f"{method:18}" + "".join(f"{row[word]:>18}" for word in OUTCOMES))
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
