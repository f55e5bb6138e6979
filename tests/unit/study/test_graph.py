from __future__ import annotations

import pytest
from toys import KINDS

from suture.study.graph import Graph, Step, step_key


def test_steps_stand_after_their_inputs() -> None:
    graph = Graph([Step("c", "total", inputs={"x": "b"}), Step("b", "total", inputs={"x": "a"}), Step("a", "number")])
    assert [step.name for step in graph] == ["a", "b", "c"]


def test_priority_is_the_longest_chain_of_costs() -> None:
    graph = Graph(
        [
            Step("a", "number", cost=1),
            Step("long", "total", inputs={"x": "a"}, cost=10),
            Step("short", "total", inputs={"x": "a"}, cost=2),
            Step("end", "total", inputs={"l": "long", "s": "short"}, cost=5),
        ]
    )
    assert graph.priorities() == {"a": 16, "long": 15, "short": 7, "end": 5}


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        ([Step("a", "number"), Step("a", "number")], "one name"),
        ([Step("a", "total", inputs={"x": "b"})], "unknown"),
        ([Step("a", "number", cost=0)], "positive"),
        ([Step("a", "total", inputs={"x": "b"}), Step("b", "total", inputs={"x": "a"})], "circle"),
    ],
)
def test_impossible_graphs_are_refused(steps: list[Step], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Graph(steps)


def test_key_depends_on_content_and_not_on_names() -> None:
    kind = KINDS["number"]
    step = Step("a", "number", {"value": 1, "label": "x"}, {"left": "p", "right": "q"}, cost=3)
    same = Step("b", "number", {"label": "x", "value": 1}, {"right": "r", "left": "s"})
    key = step_key(step, kind, {"left": "1", "right": "2"})
    assert key == step_key(same, kind, {"right": "2", "left": "1"})
    assert len(key) == 64
    others = [
        step_key(step, kind, {"left": "2", "right": "1"}),
        step_key(step, KINDS["total"], {"left": "1", "right": "2"}),
        step_key(Step("a", "number", {"value": 2, "label": "x"}), kind, {"left": "1", "right": "2"}),
    ]
    assert len({key, *others}) == 4
