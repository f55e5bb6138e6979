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
    from suture.compare.compare import compare as compare_results
    from suture.merge import execute
    from suture.plan import make_plan
    from suture.recipe import load_recipe
    from suture.study.evaluation import evaluate_tasks

__version__ = "0.1.0"

__all__ = ["__version__", "compare_results", "evaluate_tasks", "execute", "load_recipe", "make_plan"]

_HOMES = {
    "compare_results": ("suture.compare.compare", "compare"),
    "evaluate_tasks": ("suture.study.evaluation", "evaluate_tasks"),
    "execute": ("suture.merge", "execute"),
    "load_recipe": ("suture.recipe", "load_recipe"),
    "make_plan": ("suture.plan", "make_plan"),
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        module, attribute = _HOMES[name]
        return getattr(importlib.import_module(module), attribute)
    raise AttributeError(f"module 'suture' has no attribute {name!r}")
