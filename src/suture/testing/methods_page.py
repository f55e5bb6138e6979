"""The documentation page of the merge methods, made from their declarations: `python -m "
"suture.testing.methods_page`."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path

from suture.methods.explain import TIERS, example, inputs, parameter_row, preset_example
from suture.methods.presets import Preset
from suture.methods.registry import METHODS, PRESETS
from suture.methods.shapes import MethodInfo

HEAD = """# Merge methods

Made from the methods' declarations (`python -m suture.testing.methods_page docs/methods.md`); `suture methods NAME`
prints the same. b is the base, x_i are the models in the recipe's order, w_i their weights. Every method computes in
float32 (matrix methods in float64) and rounds once at the end; random ones are keyed by seed, tensor and model.
"""


def page() -> str:
    """The page in Markdown."""
    infos = [method.info for method in METHODS.values()]
    parts = [HEAD]
    for tier, meaning in TIERS.items():
        parts.append(f"## {tier}: {meaning}\n")
        parts += [section(info) for info in infos if info.tier == tier and _ours(info)]
    parts.append("## presets: methods with their parameters given\n")
    parts += [preset_section(name, preset) for name, preset in PRESETS.items()]
    return "\n".join(parts)


def _ours(info: MethodInfo) -> bool:
    """Whether the method comes with this package, where each stands in a file of its name."""
    return any(find_spec(f"{folder}.{info.name}") for folder in ("suture.methods", "suture.methods.contrib"))


def section(info: MethodInfo) -> str:
    """One method."""
    lines = [f"### {info.name}", "", info.summary, "", "```text", info.formula, "```", ""]
    lines += [f"- Paper: {info.paper}", f"- Inputs: {inputs(info)}"]
    if info.information != "none":
        lines += [f"- Needs the `{info.information}` statistics of each model (`suture calibrate`)"]
    lines += [f"- Deviations: {info.deviations.strip()}", f"- Helps: {info.helps}", f"- Fails: {info.fails}"]
    lines += [f"- Laws tested: {', '.join(info.laws)}", ""]
    if info.parameters:
        lines += ["| parameter | meaning | may be | default |", "|---|---|---|---|"]
        lines += [*map(parameter_row, info.parameters), ""]
    return "\n".join([*lines, "```yaml", example(info).rstrip(), "```", ""])


def preset_section(name: str, preset: Preset) -> str:
    """One preset."""
    lines = [f"### {name}", "", preset.summary, "", f"- Method: {preset.method}", f"- Paper: {preset.paper}"]
    lines += [f"- Models: {', '.join(preset.roles)}"] * bool(preset.roles)
    return "\n".join([*lines, "", "```yaml", preset_example(preset).rstrip(), "```", ""])


if __name__ == "__main__":
    Path(sys.argv[1] if len(sys.argv) > 1 else "docs/methods.md").write_text(page())
