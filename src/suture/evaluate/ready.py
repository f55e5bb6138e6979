"""What can be known to fail before a model is loaded: packages, their data, the chat template, IFEval's prompts."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from suture.errors import Problem, SutureError
from suture.evaluate.workload import Workload

_ALWAYS = ("torch", "transformers", "pyarrow", "scipy")
_HARNESS = ("lm_eval", "datasets", "langdetect")
_TEXT = ("rouge_score", "sacrebleu", "nltk", "wn", "pint", "word2number")


def generates(load: Workload) -> bool:
    """Whether a task has answers written, so that it needs a chat template."""
    return load.task.max_new_tokens > 0 and load.task.kind != "drift"


def check_packages(work: Sequence[Workload], backend: str) -> list[Problem]:
    """Return the packages and data packages that are missing, all of them."""
    needed = list(_ALWAYS)
    if any(load.task.kind in ("harness", "ifeval") for load in work):
        needed += _HARNESS
    writes = any(load.task.kind in ("harness", "generation") and generates(load) for load in work)
    needed += _TEXT if writes else ()
    missing = [name for name in needed if find_spec(name) is None]
    problems = []
    if missing:
        do = "Run: pip install 'suture[eval]'"
        problems.append(Problem("The packages of the extra eval must be installed.", f"no {', '.join(missing)}", do=do))
    if backend == "vllm" and find_spec("vllm") is None:
        problems.append(Problem("The backend vllm needs vLLM.", "no such package", do="Run: pip install vllm"))
    if not missing and (writes or any(load.task.kind == "ifeval" for load in work)):
        problems += _packaged(writes)
    return problems


def check_template(model: Path, work: Sequence[Workload], *, plain: bool) -> list[Problem]:
    """Return what keeps the model's chat template from being used; with `plain`, its absence is accepted."""
    from suture.checkpoint.load import load_tokenizer
    from suture.evaluate.engine import apply_chat

    names = [load.task.name for load in work if generates(load)]
    if not names:
        return []
    try:
        tokenizer = load_tokenizer(model)
    except SutureError as error:
        return list(error.problems)
    if not tokenizer.chat_template:
        if plain:
            return []
        must = f"A chat template is needed by {', '.join(names)}."
        do = "Put the instruct model's chat_template.jinja into the folder, or give --plain to ask without one."
        return [Problem(must, "a model without one", str(model), do)]
    try:
        rendered = apply_chat(tokenizer, "probe 17")
    except SutureError as error:
        return list(error.problems)
    except Exception as error:
        must = "The model's chat template must render one user turn."
        return [Problem(must, type(error).__name__, str(model), "Correct chat_template.jinja.")]
    if "probe 17" not in rendered:
        must = "The model's chat template must show the user's turn."
        return [Problem(must, "a prompt without it", str(model), "Correct chat_template.jinja.")]
    return []


def check_instructions(work: Sequence[Workload]) -> list[Problem]:
    """Return what is wrong with the prompts of verifiable instructions, by line."""
    from suture.evaluate.prompts import check_prompts

    files = {load.task.name: load.items for load in work if isinstance(load.items, Path)}
    return [found for name, path in files.items() for found in check_prompts(path, name)]


def _packaged(text: bool) -> list[Problem]:
    from suture.evaluate.packaged import punkt, wordnet

    problems: list[Problem] = []
    for find in (punkt, wordnet) if text else (punkt,):
        try:
            find()
        except SutureError as error:
            problems += error.problems
    return problems
