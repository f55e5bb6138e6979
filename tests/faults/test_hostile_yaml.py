"""Recipes that must be refused with one clear message: tags, alias bombs, repeated and unknown keys, broken text."""

from __future__ import annotations

from pathlib import Path

import pytest

from suture.cli import main

HOSTILE = {
    "a tag that runs a program": (b'merge_method: !!python/object/apply:os.system ["touch ran"]', 2, "a YAML tag"),
    "a tag of its own": (b"merge_method: !mine linear", 2, "a YAML tag"),
    "an alias bomb": (b"a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]", 2, "line 2: Aliases are not allowed"),
    "a merge key": (b"x: &x {a: 1}\ny: {<<: *x}", 2, "Aliases are not allowed"),
    "a repeated key": (
        b"merge_method: linear\nmerge_method: slerp",
        2,
        "line 2: Keys must be unique",
    ),
    "an unknown key": (b"merge_metod: linear\nmodels: []", 2, "Did you mean 'merge_method'?"),
    "nested 100,000 deep": (b"[" * 100_000, 2, "nested a few levels"),
    "nested mappings": (b"{a: " * 20_000, 2, "nested a few levels"),
    "a list as key": (b"? [a]\n: b", 2, "A key must be a word"),
    "a mapping as key": (b"{? {a: 1} : 2}", 2, "A key must be a word"),
    "5,000 digits": (b"seed: " + b"9" * 5000, 2, "ones that exist"),
    "a thirteenth month": (b"seed: 2020-13-01", 2, "ones that exist"),
    "not a number": (b"merge_method: linear\nmodels: [{model: a, parameters: {weight: .nan}}]", 2, "error"),
    "NUL": (b"merge_method: \0", 2, "valid YAML"),
    "UTF-16": ("merge_method: linear".encode("utf-16"), 3, "UTF-8"),
    "Latin-1": (b"merge_method: \xe9", 3, "UTF-8"),
    "nothing": (b"", 2, "must hold keys and values"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_recipe(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    raw, code, said = HOSTILE[name]
    monkeypatch.chdir(tmp_path)
    Path("recipe.yaml").write_bytes(raw)
    with pytest.raises(SystemExit) as ended:
        main(["plan", "recipe.yaml"])
    out, err = capsys.readouterr()
    assert ended.value.code == code
    assert err.startswith("error: recipe.yaml")
    assert said in err
    assert "Traceback" not in out + err
    assert [path.name for path in tmp_path.iterdir()] == ["recipe.yaml"]
