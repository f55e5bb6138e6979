"""The model card: README.md of a merged checkpoint, with front matter as the Hugging Face hub reads it.

It names models and never folders, so that nothing of the machine stands in it, and it depends on nothing but the plan
and the parents' own small files: the same merge writes the same card.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from suture.plan import Plan

CARD_NAME = "README.md"
LICENCE_FILES = ("LICENSE", "LICENSE.txt", "LICENSE.md", "LICENCE", "USE_POLICY.md", "NOTICE", "NOTICE.txt")
MOST = 1 << 16  # characters of a parent's card that are looked at
BEGIN, END = "<!-- evaluation -->", "<!-- /evaluation -->"
UNMEASURED = (
    "Not measured yet. `suture eval` and `suture compare` measure it against its parents, `suture card` writes the "
    "result here."
)
PROOF = (
    "Made by Suture; `manifest.json` holds the digests of inputs and output and the coefficients that were realised, "
    "and `suture verify` checks the weights against it."
)
USE = (
    "For research and development by people who evaluate it on their own data first. It is not a medical device and "
    "gives no medical advice: its answers may leave out or make up findings, doses and sides, and need a clinician's "
    "review. Merging can lose what either parent knew, also where no benchmark looks; safety training of a parent may "
    "be weakened. What a parent learnt from, patients' texts included, may be recalled by the merge as well."
)
_HUB = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+(@[\w.-]+)?")
_LLAMA = re.compile(r"\bllama", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Parent:
    """One input as the card names it: name, licence ("" where nothing says), licence files, whether it is a Llama."""

    name: str
    on_hub: bool
    licence: str
    files: tuple[str, ...]
    llama: bool


def model_card(plan: Plan, *, title: str) -> bytes:
    """Return the card of a planned merge. title: the output's name."""
    names = {reference: _name(reference) for reference in plan.inputs}
    parents = [
        _parent(names[reference], checkpoint.path, checkpoint.config, on_hub=_is_hub(reference))
        for reference, checkpoint in zip(plan.inputs, plan.checkpoints, strict=True)
        if not reference.startswith("adapter of ")
    ]
    parts = [
        f"---\n{_front(plan, parents)}---\n",
        f"# {title}\n",
        f"{_made(plan, parents)}\n",
        "## Recipe\n",
        f"```yaml\n{_recipe(plan, names)}```\n",
        f"{PROOF}\n",
        "## How to load\n",
        '```python\nfrom transformers import AutoModelForCausalLM, AutoTokenizer\n\nmodel = AutoModelForCausalLM.'
        f'from_pretrained("{title}", dtype="auto")\ntokenizer = AutoTokenizer.from_pretrained("{title}")\n```\n',
        f"Configuration, tokenizer and chat template are those of {_name(plan.donor)}.\n",
        "## Evaluation\n",
        f"{BEGIN}\n{UNMEASURED}\n{END}\n",
        "## Intended use and limits\n",
        f"{USE}\n",
        "## Licences\n",
        *_licences(parents),
    ]  # fmt: skip
    return "\n".join(parts).encode()


def with_evaluation(card: str, section: str) -> str:
    """Return `card` with `section` in the place of what stands under Evaluation.

    Raises ValueError where the card has no such place.
    """
    before, begin, rest = card.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError("the card has no place for an evaluation")
    return f"{before}{BEGIN}\n{section.strip()}\n{END}{after}"


def _front(plan: Plan, parents: Sequence[Parent]) -> str:
    licences = sorted({parent.licence for parent in parents if parent.licence})
    front: dict[str, Any] = {"library_name": "transformers"}
    hub = list(dict.fromkeys(parent.name for parent in parents if parent.on_hub))
    if hub:
        front |= {"base_model": hub, "base_model_relation": "merge"}
    if len(licences) == 1 and all(parent.licence for parent in parents):
        front["license"] = licences[0]
    else:
        front |= {"license": "other", "license_name": "of-its-parents"}
    front["tags"] = ["merge", "suture", plan.recipe.merge_method]
    return yaml.safe_dump(front, sort_keys=False)


def _made(plan: Plan, parents: Sequence[Parent]) -> str:
    names = list(dict.fromkeys(parent.name for parent in parents))
    return (
        f"A merge of {', '.join(names[:-1])} and {names[-1]} in weight space by `{plan.recipe.merge_method}`."
        if len(names) > 1
        else f"Made of {names[0]} by `{plan.recipe.merge_method}`."
    )


def _recipe(plan: Plan, names: Mapping[str, str]) -> str:
    text = plan.recipe.to_yaml()
    for reference in sorted(names, key=len, reverse=True):
        text = text.replace(reference, names[reference])
    return text


def _licences(parents: Sequence[Parent]) -> list[str]:
    lines = []
    for parent in dict.fromkeys(parents):
        said = parent.licence or "not said by its files; ask whoever gave it to you"
        also = f" (its files: {', '.join(parent.files)})" if parent.files else ""
        lines.append(f"- {parent.name}: {said}{also}")
    lines.append("\nThe merge may be used and passed on only as all of these allow together.\n")
    if any(parent.llama for parent in parents):
        lines.append(
            "A parent is derived from Llama. As far as its community licence applies: the name of a model passed on "
            'must begin with "Llama"; "Built with Llama" must be shown prominently; a copy of the licence and its '
            "notice must go with it; the acceptable use policy binds its users. Read the licence itself: this is a "
            "reminder, no legal advice.\n"
        )
    return lines


def _parent(name: str, folder: Path, config: Mapping[str, Any], *, on_hub: bool) -> Parent:
    files = tuple(sorted(file for file in LICENCE_FILES if (folder / file).is_file()))
    licence, origin = _licence(folder), Path(str(config.get("_name_or_path") or "")).name
    return Parent(name, on_hub, licence, files, bool(_LLAMA.search(f"{name} {origin} {licence}")))


def _licence(folder: Path) -> str:
    """Return what the front matter of the folder's card says of its licence, "" where nothing."""
    try:
        with (folder / CARD_NAME).open(encoding="utf-8", errors="replace") as stream:
            text = stream.read(MOST)
    except OSError:
        return ""
    found = re.match(r"---\s*\n(.*?)\n---", text, re.DOTALL)
    try:
        front = yaml.safe_load(found[1]) if found else None
    except yaml.YAMLError:
        return ""
    if not isinstance(front, dict):
        return ""
    said = front.get("license_name") if front.get("license") == "other" else front.get("license")
    return " ".join(str(said).split())[:80] if isinstance(said, str) else ""


def _is_hub(reference: str) -> bool:
    return not Path(reference).exists() and bool(_HUB.fullmatch(reference))


def _name(reference: str) -> str:
    """Return a reference without its folders: the hub id, or the last part of a path, of both sides of a "+"."""
    parts = [part if _is_hub(part) else Path(part).name for part in reference.split("+")]
    return "+".join(parts)
