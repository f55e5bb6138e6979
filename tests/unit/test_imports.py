"""Imports go one way, in the order of the map; found by reading the syntax tree, not by importing."""

from __future__ import annotations

import ast
from pathlib import Path

import suture

ROOT = Path(suture.__file__).parent
ORDER = [
    "errors",
    "events",
    "strict_yaml",
    "numerics",
    "kernels",
    "methods",
    "recipe",
    "checkpoint",
    "calibrate",
    "architecture",
    "ledger",
    "plan",
    "card",
    "merge",
    "live",
    "audit",
    "inspect",
    "extract",
    "verify",
    "data",
    "tasks",
    "adapt",
    "evaluate",
    "compare",
    "report",
    "study",
    "search",
    "weigh",
    "cli",
    "__main__",
    "testing",
]
HEAVY = {"torch", "transformers", "lm_eval", "trl", "peft", "datasets", "pyarrow", "scipy", "plotly", "jinja2", "nltk"}


def _part(module: str) -> str:
    return module.split(".")[1] if module.startswith("suture.") else ""


def _imports(tree: ast.AST) -> list[str]:
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.append(node.module)
            if node.module == "suture":
                found += [f"suture.{alias.name}" for alias in node.names]
    return found


def _files() -> list[tuple[Path, str]]:
    files = [path for path in ROOT.rglob("*.py") if path != ROOT / "__init__.py"]
    return [(path, path.relative_to(ROOT).parts[0].removesuffix(".py")) for path in files]


def test_every_part_stands_in_the_order() -> None:
    assert {part for _, part in _files()} == set(ORDER)


def test_imports_go_one_way() -> None:
    wrong = []
    for path, part in _files():
        for module in _imports(ast.parse(path.read_text())):
            other = _part(module)
            if other in ORDER and ORDER.index(other) > ORDER.index(part):
                wrong.append(f"{path.relative_to(ROOT)} imports {module}")
    assert not wrong


def test_heavy_packages_are_imported_where_they_are_used() -> None:
    wrong = []
    for path, part in _files():
        if part == "numerics":  # the PyTorch twins are nothing but torch; only tests and GPU code import them
            continue
        for node in ast.parse(path.read_text()).body:
            found = _imports(node) if isinstance(node, ast.Import | ast.ImportFrom) else []
            heavy = [module for module in found if module.split(".")[0] in HEAVY]
            wrong += [f"{path.relative_to(ROOT)} imports {module} at its top" for module in heavy]
    assert not wrong


def test_data_and_compare_know_no_torch() -> None:
    for path, part in _files():
        if part in ("data", "compare"):
            assert not [
                m for m in _imports(ast.parse(path.read_text())) if m.split(".")[0] in ("torch", "transformers")
            ], path


def test_every_module_says_what_it_is() -> None:
    missing = [str(path) for path, _ in _files() if not ast.get_docstring(ast.parse(path.read_text()))]
    assert not missing
