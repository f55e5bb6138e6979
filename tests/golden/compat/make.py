"""Runs mergekit 0.1.5 over the cases and keeps what it wrote: outputs.safetensors, and beside it how it was made.

    PYTHON_OF_MERGEKIT tests/golden/compat/make.py            the goldens anew
    PYTHON_OF_MERGEKIT tests/golden/compat/make.py FOLDER     every recipe NAME.yaml in FOLDER, into FOLDER/NAME.theirs

where PYTHON_OF_MERGEKIT is the interpreter of an environment with `pip install torch==2.13.0 mergekit==0.1.5` and
nothing of this project. Each case is one call of the command `mergekit-yaml RECIPE OUT --no-copy-tokenizer
--no-write-model-card --random-seed 0`, here in one process.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import tempfile
from importlib.metadata import entry_points, version
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

HERE = Path(__file__).parent
OPTIONS = ("--no-copy-tokenizer", "--no-write-model-card", "--random-seed", "0", "--quiet")
sys.path.insert(0, str(HERE))


def run(folder: Path, name: str, out: str) -> str | None:
    """Run the command on the recipe `name` in `folder`, where its models lie too; return what it said if it failed."""
    command = next(point for point in entry_points(group="console_scripts") if point.name == "mergekit-yaml").load()
    with contextlib.chdir(folder):
        try:
            command([name, out, *OPTIONS], standalone_mode=False)
        except Exception as error:
            return f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}"
    return None


def run_all(folder: Path) -> None:
    """Run every recipe of a folder; what it said of those that failed goes to FOLDER/refused.json."""
    said = {path.stem: run(folder, path.name, f"{path.stem}.theirs") for path in sorted(folder.glob("*.yaml"))}
    refused = {name: text for name, text in said.items() if text is not None}
    (folder / "refused.json").write_text(json.dumps(refused))


def main() -> None:
    """Make the goldens anew."""
    from compat_cases import CASES, RANDOM
    from inputs import write_models

    kept: dict[str, torch.Tensor] = {}
    refused: dict[str, str] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_models(folder)
        for number, (case, recipe) in enumerate((CASES | RANDOM).items()):
            (folder / f"{number}.yaml").write_text(recipe)
            failed = run(folder, f"{number}.yaml", f"out{number}")
            if failed is not None:
                refused[case] = failed
                continue
            found = load_file(folder / f"out{number}" / "model.safetensors")
            kept |= {f"{case}|{tensor}": values for tensor, values in found.items()}
    save_file(kept, HERE / "outputs.safetensors")
    about = {
        "command": f"mergekit-yaml RECIPE OUT {' '.join(OPTIONS)}",
        "mergekit": version("mergekit"),
        "torch": version("torch").partition("+")[0],
        "refused": refused,
    }
    (HERE / "outputs.json").write_text(json.dumps(about, indent=1) + "\n")


if __name__ == "__main__":
    os.environ["HF_HUB_OFFLINE"] = "1"
    torch.set_num_threads(1)
    if len(sys.argv) > 1:
        run_all(Path(sys.argv[1]).resolve())
    else:
        main()
