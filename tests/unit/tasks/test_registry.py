"""Tasks as data: names, metrics, protocols, and the refusal of unknown names."""

from __future__ import annotations

import pytest

from suture.errors import UsageError
from suture.tasks.registry import TASKS, get_task
from suture.tasks.task import Task


def test_the_names() -> None:
    assert set(TASKS) == {
        "ifeval",
        "contrast",
        "clinic_mcq",
        "clinic_summary",
        "clinic_likelihood",
        "mts_section",
        "mts_likelihood",
        "drift",
    }
    assert all(get_task(name).name == name for name in TASKS)


@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS.keys())
def test_each_task_is_whole(task: Task) -> None:
    assert task.primary in task.metrics or task.kind == "drift"
    assert task.protocol
    assert task.source
    assert bool(task.max_new_tokens) == (task.kind in ("ifeval", "generation", "drift"))
    assert not task.instruction or task.instruction.count("{input}") == 1


def test_an_unknown_name_meets_the_nearest() -> None:
    with pytest.raises(UsageError, match="Did you mean clinic_summary") as error:
        get_task("clinic_sumary")
    assert error.value.exit_code == 2


def test_the_item_stands_in_the_instruction_even_with_braces() -> None:
    assert get_task("clinic_mcq").user_text("{x}?") == "{x}?\nAnswer with the right option only."
    assert get_task("contrast").user_text("Say it.") == "Say it."
