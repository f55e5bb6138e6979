"""Compares searches in four dimensions with CMA-ES on surfaces that were measured on real models; prints one table.

python benchmarks/search_layers.py record SPACE.yaml --out DIR [--points 40]     reads a design of points; resumable
python benchmarks/search_layers.py replay DIR/design.npz [--runs 200] [--seed 0]
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np


def record(space: Path, out: Path, count: int) -> Path:
    """Read a Sobol design of a continuous space on all development items; return the file of the table."""
    from scipy.stats import qmc

    from suture.search.candidates import METHOD, digest_of, dimensions, recipe_of
    from suture.search.probe import Kept, Probe
    from suture.search.run import weights
    from suture.search.space import load_space
    from suture.search.splits import measured

    asked = load_space(space)
    axes = dimensions(asked)
    drawn = qmc.Sobol(len(axes), seed=asked.seed).random(64)[:count]
    places = np.array(
        [[axis.low + u * (axis.high - axis.low) for axis, u in zip(axes, row, strict=True)] for row in drawn]
    )
    # the ancestor, both halves, the middle and both whole task vectors are read too
    places = np.vstack([np.full(len(axes), 0.5), np.full(len(axes), 1.0), places]).round(6)
    points = [
        {METHOD: asked.methods[0], **{a.name: float(x) for a, x in zip(axes, row, strict=True)}} for row in places
    ]
    parts, parents = measured(asked), weights(asked)
    recipes = {digest_of(recipe, parents): recipe for recipe in (recipe_of(asked, point) for point in points)}
    found = Probe(Kept(out / "candidates")).scores(recipes, [(one, one.dev) for one in parts], "design")
    arrays = {f"scores_{k}": np.stack([found[digest][k] for digest in recipes]) for k in range(len(parts))}
    arrays |= {f"clusters_{k}": np.array(one.dev_clusters) for k, one in enumerate(parts)}
    worths = [one.goal.sign * one.goal.weight / (one.goal.unit or 1.0) for one in parts]
    ends = np.array([[axis.low, axis.high] for axis in axes])
    np.savez(out / "design.npz", places=places, ends=ends, worths=np.array(worths), **arrays)
    (out / "design.npz").chmod(0o600)
    return out / "design.npz"


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    verbs = parser.add_subparsers(dest="verb", required=True)
    one = verbs.add_parser("record")
    one.add_argument("space", type=Path)
    one.add_argument("--out", type=Path, required=True)
    one.add_argument("--points", type=int, default=40)
    asked = parser.parse_args()
    print(f"wrote {record(asked.space, asked.out, asked.points)}")


if __name__ == "__main__":
    main()
