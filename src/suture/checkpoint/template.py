"""Bounds for chat templates: a program that came with a model, which may loop for ever or write without end.

A template runs only where transformers renders it, in Jinja's immutable sandbox, which lets it reach nothing. What the
sandbox does not bound is time and size. So a template is first tried in a process of its own, with limits, on a short
conversation; and each rendering afterwards has a deadline and a largest size.
"""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from functools import lru_cache, partial
from types import FrameType
from typing import Any

from suture.errors import BadInputError, Problem

TRIAL_SECONDS = 3
TRIAL_BYTES = 1 << 30
RENDER_SECONDS = 10.0
RENDER_FACTOR = 16
RENDER_CHARACTERS = 1 << 20
"""A rendering may have RENDER_FACTOR times the characters of its messages, and this many besides."""

_TRIAL = f"""
import json, resource, sys
resource.setrlimit(resource.RLIMIT_CPU, ({TRIAL_SECONDS}, {TRIAL_SECONDS}))
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
from jinja2.ext import Extension, loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment
resource.setrlimit(resource.RLIMIT_AS, ({TRIAL_BYTES}, {TRIAL_BYTES}))
class Generation(Extension):
    tags = {{"generation"}}
    def parse(self, parser):
        next(parser.stream)
        return parser.parse_statements(["name:endgeneration"], drop_needle=True)
class Refused(Exception):
    pass
def raise_exception(message):
    raise Refused
environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[Generation, loopcontrols])
environment.filters["tojson"] = lambda value, **options: json.dumps(value, ensure_ascii=False)
environment.globals.update(raise_exception=raise_exception, strftime_now=lambda form: "2025-01-01")
template, tokens = json.load(sys.stdin)
user, answer = {{"role": "user", "content": "Is it so?"}}, {{"role": "assistant", "content": "It is."}}
try:
    compiled = environment.from_string(template)
    for messages, prompt in (([user], True), ([user, answer], False)):
        size = 0
        options = {{"messages": messages, "add_generation_prompt": prompt, "tools": None, "documents": None, **tokens}}
        for part in compiled.generate(**options):
            size += len(part)
            if size > {RENDER_CHARACTERS}:
                sys.exit(5)
except MemoryError:
    sys.exit(5)
except Exception:
    pass
"""
_TOO_LARGE = 5


def bound_templates(tokenizer: Any, origin: str) -> None:
    """Try the chat templates of `tokenizer`, and bound each of its later renderings. `origin` names the model.

    Raises BadInputError for a template that does not end in TRIAL_SECONDS of processor time, or that writes or
    holds too much. A template that refuses the trial's conversation, or is broken, is left to its later use.
    """
    found = getattr(tokenizer, "chat_template", None)
    if not found:
        return
    tokens = {key: str(value) for key, value in tokenizer.special_tokens_map.items() if isinstance(value, str)}
    for template in found.values() if isinstance(found, dict) else (found,):
        got = _tried(str(template), json.dumps(tokens, sort_keys=True))
        if got is not None:
            raise BadInputError(_problem(got, origin))
    tokenizer.apply_chat_template = partial(_render, tokenizer.apply_chat_template, origin)


def _render(render: Callable[..., Any], origin: str, conversation: Any, *arguments: Any, **options: Any) -> Any:
    with _deadline(RENDER_SECONDS, origin):
        result = render(conversation, *arguments, **options)
    if isinstance(result, str):
        allowed = RENDER_CHARACTERS + RENDER_FACTOR * len(json.dumps(conversation, default=str))
        if len(result) > allowed:
            raise BadInputError(_problem(f"more than {allowed} characters", origin))
    return result


def _problem(got: str, origin: str) -> Problem:
    do = "Replace chat_template.jinja by the template that the model's makers publish."
    return Problem("A chat template must end, and write about as much as its messages hold.", got, origin, do)


@lru_cache(maxsize=64)
def _tried(template: str, tokens: str) -> str | None:
    """Render in a process of its own; return what went beyond its limits, None where nothing did."""
    text = json.dumps([template, json.loads(tokens)])
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-c", _TRIAL],
            input=text.encode(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=20 * TRIAL_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"no end within {20 * TRIAL_SECONDS} s"
    if done.returncode in (-signal.SIGXCPU, -signal.SIGKILL):
        return f"no end within {TRIAL_SECONDS} s"
    return "more than its bound in characters or memory" if done.returncode == _TOO_LARGE else None


@contextlib.contextmanager
def _deadline(seconds: float, origin: str) -> Iterator[None]:
    """Raise BadInputError in the block once `seconds` have gone; without effect outside the main thread.

    Signals reach Python in the main thread alone. A timer that is already set by someone else is left as it is.
    """
    if threading.current_thread() is not threading.main_thread() or signal.getitimer(signal.ITIMER_REAL)[0] > 0:
        yield
        return

    def late(number: int, frame: FrameType | None) -> None:
        raise BadInputError(_problem(f"no end within {seconds:g} s", origin))

    before = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
