"""The recipes that were run: a matrix of methods and parameters, slices, gradients, filters; as people write it."""

from __future__ import annotations

from itertools import product
from typing import Any

import yaml


def recipe(method: str, models: Any, *, suffix: str = "", out: str = "bfloat16", **more: Any) -> str:
    """YAML of one recipe. models: names, or pairs of name and parameters; suffix "32" takes the float32 copies."""
    listed = [(entry, {}) if isinstance(entry, str) else entry for entry in models]
    entries = [{"model": f"{name}{suffix}", **({"parameters": own} if own else {})} for name, own in listed]
    if "base_model" in more:
        more["base_model"] += suffix
    return yaml.safe_dump(
        {"merge_method": method, "models": entries, **more, "dtype": "float32", "out_dtype": out}, sort_keys=False
    )


def w(*weights: float, **more: Any) -> list[tuple[str, dict[str, Any]]]:
    """Models b, c, d with these weights and equal further parameters."""
    return [(name, {"weight": weight, **more}) for name, weight in zip("bcd", weights, strict=False)]


def _cases() -> dict[str, str]:
    """All cases. Selection by magnitude takes the float32 copies: the task vectors of bfloat16 models hold many equal
    magnitudes, of which that program keeps arbitrary ones (its sort is not stable).
    """
    found: dict[str, str] = {}
    weighted = ((0.5, 0.5), (0.2173, 0.3311, 0.4197), (1.5, -0.5))
    for number, (weights, normalize) in enumerate(product(weighted, (True, False))):
        found[f"linear {number}"] = recipe("linear", w(*weights), parameters={"normalize": normalize})
    found["linear ties"] = recipe("linear", w(0.2, 0.3, 0.4), parameters={"normalize": False})
    found["linear base listed"] = recipe("linear", [("a", {"weight": 0.3}), *w(0.7)], base_model="a")
    found["linear float32"] = recipe("linear", w(0.3, 0.7), suffix="32")
    found["linear float16"] = recipe("linear", w(0.3, 0.7), suffix="32", out="float16")
    for t in (0.0, 0.25, 0.5, 1.0):
        found[f"slerp {t}"] = recipe("slerp", "ab", base_model="a", parameters={"t": t})
    found["slerp order"] = recipe("slerp", "ba", base_model="a", parameters={"t": 0.2})
    found["slerp unlisted base"] = recipe("slerp", "b", base_model="a", parameters={"t": 0.2})
    t = [{"filter": "self_attn", "value": [0, 0.5, 0.3]}, {"filter": "mlp", "value": [1, 0.25]}, {"value": "5e-1"}]
    found["slerp gradient"] = recipe("slerp", "ab", base_model="a", parameters={"t": t})
    for flatten, row_wise, base in product((True, False), (True, False), (None, "a")):
        more = {"base_model": base} if base else {}
        parameters = {"nuslerp_flatten": flatten, "nuslerp_row_wise": row_wise}
        name = f"nuslerp {'flat' if flatten else 'by row' if row_wise else 'by column'}{' base' if base else ''}"
        found.setdefault(name, recipe("nuslerp", w(0.3, 0.5), parameters=parameters, **more))
    for base in (None, "a"):
        more = {"base_model": base} if base else {}
        found[f"multislerp{' base' if base else ''}"] = recipe("multislerp", w(0.2, 0.3, 0.4), **more)
    found["multislerp not normalised"] = recipe("multislerp", w(0.2, 0.3), parameters={"normalize_weights": False})
    found["karcher"] = recipe("karcher", "bcd")
    found["karcher short"] = recipe("karcher", "bcd", parameters={"max_iter": 2, "tol": 1e-9})
    found["karcher base"] = recipe("karcher", "bc", base_model="a")
    for normalize, lambda_ in product((True, False), (1.0, 0.6)):
        parameters = {"normalize": normalize, "lambda": lambda_}
        for method in ("task_arithmetic", "ties", "breadcrumbs", "breadcrumbs_ties"):
            density = {} if method == "task_arithmetic" else {"density": 0.4}
            models = w(0.5, 0.3, 0.7, **density)
            name = f"{method} {lambda_}{' normalised' if normalize else ''}"
            found[name] = recipe(method, models, base_model="a", parameters=parameters, suffix="32")
    found["ties dense"] = recipe("ties", w(1.0, 1.0, density=1.0), base_model="a")
    found["ties sparse"] = recipe("ties", w(0.5, 0.5, density=0.01), base_model="a", suffix="32")
    found["ties rescaled"] = recipe(
        "ties", w(0.5, 0.5, density=0.3), base_model="a", suffix="32", parameters={"rescale": True}
    )
    found["ties mask"] = recipe(
        "ties", w(0.5, 0.5, density=0.3), base_model="a", suffix="32", parameters={"int8_mask": True}
    )
    found["breadcrumbs gamma"] = recipe("breadcrumbs", w(0.5, 0.5, density=0.6, gamma=0.1), base_model="a", suffix="32")
    found["breadcrumbs none"] = recipe("breadcrumbs", w(0.5, 0.5, density=0.6, gamma=0.0), base_model="a", suffix="32")
    found["dare dense"] = recipe("dare_ties", w(0.5, 0.3, density=1.0), base_model="a")
    for top in (1.0, 0.5, 0.1):
        found[f"sce {top}"] = recipe("sce", "bcd", base_model="a", parameters={"select_topk": top})
    found["ram"] = recipe("ram", "bcd", base_model="a")
    found["ram wide"] = recipe("ram", "bcd", base_model="a", parameters={"epsilon": 0.01})
    found["ramplus"] = recipe("ramplus_tl", "bcd", base_model="a", parameters={"epsilon": 0.01, "r": 0.2, "alpha": 0.3})
    for filter_wise in (True, False):
        found[f"model_stock{' rows' if filter_wise else ''}"] = recipe(
            "model_stock", "bcd", base_model="a", parameters={"filter_wise": filter_wise}
        )
    found["nearswap"] = recipe("nearswap", "b", base_model="a", parameters={"t": 0.01})
    found["arcee_fusion"] = recipe("arcee_fusion", "b", base_model="a")
    found["passthrough"] = recipe("passthrough", "b")
    scale = [{"filter": "down_proj", "value": 0.5}, {"value": 1.0}]
    found["passthrough scale"] = recipe("passthrough", [("b", {"scale": scale})])
    found["slices stacked"] = SLICES_STACKED
    found["slices merged"] = SLICES_MERGED
    return found


SLICES_STACKED = """
merge_method: passthrough
slices:
- sources:
  - {model: b, layer_range: [0, 2]}
- sources:
  - {model: c, layer_range: [1, 2]}
dtype: float32
out_dtype: bfloat16
"""
SLICES_MERGED = """
merge_method: slerp
base_model: a
slices:
- sources:
  - {model: b, layer_range: [0, 2]}
  - {model: a, layer_range: [0, 2]}
  parameters:
    t: [0.1, 0.9]
- sources:
  - {model: a, layer_range: [0, 1]}
  - {model: c, layer_range: [1, 2]}
parameters:
  t:
  - filter: norm
    value: 0.7
  - value: [0.3, 0.6]
dtype: float32
out_dtype: bfloat16
"""
CASES = _cases()

TO_FLOAT32: dict[str, Any] = {"base_model": "a", "suffix": "32", "out": "float32"}

RANDOM = {
    f"{method} {number}": recipe(method, [("b", {"weight": 1.0, "density": 0.6, **more})], **TO_FLOAT32)
    for method in ("dare_linear", "dare_ties", "della", "della_linear")
    for number, more in enumerate(({}, {"epsilon": 0.2}) if "della" in method else ({},))
}
"""Methods that draw: each on one model, so that what is kept can be read off the result."""
