from __future__ import annotations

import json
from pathlib import Path

import pytest

from suture.checkpoint.donor import choose_donor, donor_files, has_chat_template, template_notes, vocabulary_digest
from suture.errors import BadInputError, Problem


def model(folder: Path, *, template: str | None = None, in_settings: bool = False) -> Path:
    folder.mkdir()
    settings = {"chat_template": template} if template and in_settings else {}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    if template and not in_settings:
        (folder / "chat_template.jinja").write_text(template)
    return folder


@pytest.fixture
def folders(tmp_path: Path) -> dict[str, Path]:
    return {
        "plain": model(tmp_path / "plain"),
        "chat": model(tmp_path / "chat", template="a"),
        "other": model(tmp_path / "other", template="b", in_settings=True),
    }


def test_the_rule_in_its_order(folders: dict[str, Path]) -> None:
    assert choose_donor("plain", "chat", folders) == "plain"
    two = {name: folders[name] for name in ("plain", "chat")}
    assert choose_donor(None, "plain", two) == "chat"
    assert choose_donor(None, "plain", folders) == "plain"
    refused = choose_donor(None, None, folders)
    assert isinstance(refused, Problem)
    assert "plain, chat, other" in refused.do


def test_a_template_is_found_in_either_place(folders: dict[str, Path]) -> None:
    assert [has_chat_template(folder) for folder in folders.values()] == [False, True, True]


def test_templates_that_differ_are_told(folders: dict[str, Path]) -> None:
    notes = template_notes("chat", folders)
    assert len(notes) == 2
    assert notes[0] == "chat template of plain differs (it has none); the output keeps that of chat"
    first, *lines = notes[1].split("\n")
    assert first == "chat template of other differs; the output keeps that of chat"
    assert lines == ["--- chat", "+++ other", "@@ -1 +1 @@", "-a", "+b"]


def test_a_diff_is_short_and_cannot_move_the_cursor(tmp_path: Path) -> None:
    long = "\n".join(f"line {i} \x1b[2J" + "x" * 1000 for i in range(10_000))
    folders = {"a": model(tmp_path / "a", template="a"), "b": model(tmp_path / "b", template=long)}
    (note,) = template_notes("a", folders)
    lines = note.split("\n")
    assert len(lines) < 30
    assert lines[-1] == "..."
    assert all(line.isprintable() and len(line) < 200 for line in lines)


def test_a_file_that_is_a_link_out_of_the_folder_is_not_copied(tmp_path: Path) -> None:
    folder = model(tmp_path / "chat", template="a")
    (tmp_path / "secret").write_text("{}")
    (folder / "vocab.json").symlink_to(tmp_path / "secret")
    with pytest.raises(BadInputError, match=r"a link out of it: vocab\.json"):
        donor_files(folder, {}, None)


def test_the_output_says_not_that_it_is_quantised(folders: dict[str, Path]) -> None:
    quantised = {"quant_method": "fp8"}
    config = {"quantization_config": quantised, "text_config": {"quantization_config": quantised, "hidden_size": 8}}
    files = donor_files(folders["chat"], config, None)
    assert json.loads(files["config.json"]) == {"text_config": {"hidden_size": 8}}


@pytest.mark.parametrize("text", ["[", '{"model": []}', '{"added_tokens": [1]}', '{"a": 1, "a": 2}', "[" * 100_000])
def test_a_tokenizer_of_another_form_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_text(text)
    with pytest.raises(BadInputError, match=r"tokenizer\.json"):
        vocabulary_digest(tmp_path)


def test_files_of_the_donor(folders: dict[str, Path]) -> None:
    (folders["chat"] / "generation_config.json").write_text('{"eos_token_id": [2, 3]}')
    (folders["chat"] / "evil.py").write_text("")
    files = donor_files(
        folders["chat"], {"torch_dtype": "float32", "auto_map": {"a": "evil.A"}, "vocab_size": 5}, "bfloat16"
    )
    assert json.loads(files["config.json"]) == {"dtype": "bfloat16", "vocab_size": 5}
    assert files["generation_config.json"] == b'{"eos_token_id": [2, 3]}'
    assert files["chat_template.jinja"] == b"a"
    assert "evil.py" not in files


def test_the_vocabulary_is_compared_by_content(tmp_path: Path) -> None:
    def digest(vocabulary: dict[str, int]) -> str | None:
        (tmp_path / "tokenizer.json").write_text(json.dumps({"model": {"vocab": vocabulary}, "added_tokens": []}))
        return vocabulary_digest(tmp_path)

    assert vocabulary_digest(tmp_path) is None
    assert digest({"a": 0, "b": 1}) == digest({"b": 1, "a": 0})
    assert digest({"a": 0, "b": 1}) != digest({"a": 1, "b": 0})
