from __future__ import annotations

import pytest

from suture.errors import UsageError
from suture.strict_yaml import StrictModel, nearest, parse_yaml


class Leaf(StrictModel):
    size: int = 0


class Tree(StrictModel):
    name: str
    leaves: tuple[Leaf, ...] = ()


def problems(text: str) -> list[str]:
    with pytest.raises(UsageError) as caught:
        parse_yaml(text, Tree, "tree.yaml")
    return [str(problem) for problem in caught.value.problems]


def test_reads_what_is_right() -> None:
    assert parse_yaml("name: oak\nleaves: [{size: 2}]", Tree, "t") == Tree(name="oak", leaves=(Leaf(size=2),))


def test_all_problems_at_once_with_their_lines() -> None:
    found = problems("nmae: oak\nleaves:\n  - sise: 2\n  - size: big\n")
    assert len(found) == 4
    assert any("line 1" in f and "Did you mean 'name'?" in f for f in found)
    assert any("line 3" in f and "Did you mean 'size'?" in f for f in found)
    assert any("line 4" in f and "'big'" in f for f in found)
    assert any("'name' is required" in f for f in found)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("name: a\nname: b", "line 2: Keys must be unique"),
        ("name: &x a\nleaves: [*x]", "Aliases are not allowed"),
        ("name: !!python/object/apply:os.system [ls]", "a YAML tag"),
        ("name: [", "valid YAML"),
        ("- a", "keys and values"),
    ],
)
def test_refuses_what_yaml_can_smuggle(text: str, said: str) -> None:
    assert any(said in found for found in problems(text))


def test_nearest_lists_all_where_none_is_near() -> None:
    assert nearest("zzz", ["b", "a"]) == "Known: a, b."
