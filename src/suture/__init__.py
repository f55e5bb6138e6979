"""Suture: joins a clinical and a general language model in weight space, and measures what was kept and forgotten.

    recipe -> plan -> merge -> checkpoint -> adapt -> evaluate -> compare -> report

Each arrow is a file that names the digest of what it was made from:

    recipe.yaml -> plan -> checkpoint/ + manifest.json -> results/ -> comparison.json -> report.html

The public names below are loaded when first used, so that `import suture` costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from suture.compare.compare import compare
    from suture.evaluate.run import evaluate_model
    from suture.merge import execute
    from suture.plan import make_plan
    from suture.recipe import load_recipe

__version__ = "0.1.0"

__all__ = ["__version__", "compare", "evaluate_model", "execute", "load_recipe", "make_plan"]

_HOMES = {
    "compare": "suture.compare.compare",
    "evaluate_model": "suture.evaluate.run",
    "execute": "suture.merge",
    "load_recipe": "suture.recipe",
    "make_plan": "suture.plan",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'suture' has no attribute {name!r}")
