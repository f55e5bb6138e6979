from __future__ import annotations

import copy
import pickle
import time
from typing import Any

import pytest

from suture.checkpoint import template
from suture.checkpoint.template import bound_templates
from suture.errors import BadInputError
from suture.testing.tiny import CHAT_TEMPLATE

USER = [{"role": "user", "content": "Cough for two days."}]
LOOP = "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}"


class Rendering:
    """What a tokenizer shows of itself to `bound_templates`, with transformers' own rendering."""

    special_tokens_map = {"bos_token": "<s>", "eos_token": "</s>"}  # noqa: RUF012

    def __init__(self, chat_template: Any) -> None:
        self.chat_template = chat_template

    def apply_chat_template(self, conversation: Any, **options: Any) -> str:
        from transformers.utils.chat_template_utils import render_jinja_template

        return str(render_jinja_template([conversation], chat_template=self.chat_template, **options)[0][0])


def test_a_real_template_renders_as_before() -> None:
    bounded, free = Rendering(CHAT_TEMPLATE), Rendering(CHAT_TEMPLATE)
    bound_templates(bounded, "model")
    assert bounded.apply_chat_template(USER, add_generation_prompt=True) == free.apply_chat_template(
        USER, add_generation_prompt=True
    )
    assert "Cough for two days." in bounded.apply_chat_template(USER)
    assert "Cough" in pickle.loads(pickle.dumps(bounded)).apply_chat_template(USER)
    assert "Cough" in copy.deepcopy(bounded).apply_chat_template(USER)


@pytest.mark.parametrize("none", [None, ""])
def test_no_template_is_left_alone(none: str | None) -> None:
    tokenizer = Rendering(none)
    bound_templates(tokenizer, "model")
    assert "apply_chat_template" not in vars(tokenizer)


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        (LOOP, "no end within"),
        ({"default": CHAT_TEMPLATE, "tool_use": LOOP}, "no end within"),
        ("{% for a in range(99999) %}{{ 'aaaaaaaaaaaaaaaa' * 100 }}{% endfor %}", "more than its bound"),
        ("{{ 'a' * 20000000000 }}", "more than its bound"),
    ],
)
def test_a_template_without_end_is_refused_before_its_use(bad: Any, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BadInputError, match=f"model: A chat template must end.*{said}"):
        bound_templates(Rendering(bad), "model")


def test_one_that_ends_in_the_trial_alone_meets_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(template, "RENDER_SECONDS", 0.2)
    tokenizer = Rendering("{% if 'Cough' in messages[0].content %}" + LOOP + "{% endif %}")
    bound_templates(tokenizer, "model")
    start = time.monotonic()
    with pytest.raises(BadInputError, match=r"no end within 0\.2 s"):
        tokenizer.apply_chat_template(USER)
    assert time.monotonic() - start < 10
    assert tokenizer.apply_chat_template([{"role": "user", "content": "Fever."}]) == ""


def test_one_that_writes_too_much_later(monkeypatch: pytest.MonkeyPatch) -> None:
    tokenizer = Rendering("{% if 'Cough' in messages[0].content %}{{ 'abc' * 1000000 }}{% endif %}")
    bound_templates(tokenizer, "model")
    with pytest.raises(BadInputError, match="more than 1049"):
        tokenizer.apply_chat_template(USER)


@pytest.mark.parametrize("escape", ["{{ ''.__class__.__mro__[1].__subclasses__() }}", "{{ messages.append(1) }}"])
def test_the_sandbox_is_immutable_and_reaches_nothing(escape: str) -> None:
    """That transformers renders in such a sandbox is what we rest on; so it is held here."""
    from jinja2.exceptions import SecurityError

    tokenizer = Rendering(escape)
    bound_templates(tokenizer, "model")
    with pytest.raises(SecurityError):
        tokenizer.apply_chat_template(USER)
