"""verify on merges of tiny models that were tampered with in every way that an auditor would ask about."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from suture.checkpoint.header import read_checkpoint
from suture.cli import main
from suture.errors import BadInputError, IntegrityError, UsageError
from suture.merge import execute
from suture.plan import make_plan
from suture.recipe import parse_recipe
from suture.testing.tiny import tiny_model
from suture.verify import verify

NAME = "model.layers.1.mlp.up_proj.weight"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two parents and their merge `out`, whose recipe names the parents by absolute path."""
    folder = tmp_path_factory.mktemp("verify")
    general = tiny_model(folder / "general", seed=1)
    clinical = tiny_model(folder / "clinical", seed=2, chat_template=False)
    entry = f"models: [{{model: {clinical}}}]\nparameters: {{t: 0.3}}\nout_dtype: bfloat16\n"
    recipe = f"merge_method: slerp\nbase_model: {general}\ngeneral: {general}\n{entry}"
    execute(make_plan(parse_recipe(recipe)), folder / "out")
    return folder


@pytest.fixture
def out(made: Path, tmp_path: Path) -> Path:
    """A copy of the merge that may be tampered with."""
    return Path(shutil.copytree(made / "out", tmp_path / "out"))


def flip(folder: Path, name: str, element: int) -> None:
    """Flip the lowest bit of one bf16 value."""
    info = read_checkpoint(folder).tensors[name]
    with info.file.open("r+b") as stream:
        stream.seek(info.offset + 2 * element)
        byte = stream.read(1)[0]
        stream.seek(info.offset + 2 * element)
        stream.write(bytes([byte ^ 1]))


def test_a_merge_verifies(made: Path) -> None:
    count = len(read_checkpoint(made / "out").tensors)
    assert verify(made / "out").derived == ()
    assert verify(made / "out", tensors=[NAME]).derived == (NAME,)
    found = verify(made / "out", tensors=None)
    assert (len(found.derived), found.tensors, found.notes) == (count, count, ())


def test_a_merge_of_several_stages_verifies(made: Path, tmp_path: Path) -> None:
    general, clinical = made / "general", made / "clinical"
    first = f"name: first\nmerge_method: linear\nmodels: [{{model: {general}}}, {{model: {clinical}}}]\n"
    last = f"merge_method: slerp\ngeneral: {general}\nbase_model: {general}\nmodels: [{{model: first}}]\n"
    text = f"{first}parameters: {{weight: 0.5}}\n---\n{last}parameters: {{t: 0.3}}\n"
    execute(make_plan(parse_recipe(text)), tmp_path / "out")
    found = verify(tmp_path / "out", tensors=None)
    assert len(found.derived) == found.tensors
    assert found.digests


def test_a_flipped_bit_is_found_by_the_digest_and_placed_by_deriving(out: Path) -> None:
    flip(out, NAME, 37)
    with pytest.raises(IntegrityError) as caught:
        verify(out)
    assert [p.where for p in caught.value.problems] == [str(out)]
    with pytest.raises(IntegrityError) as caught:
        verify(out, tensors=None)
    assert [p.where for p in caught.value.problems] == [str(out), NAME]
    assert "1 of 2,048 values that differ, the first at 37" in str(caught.value)


def test_a_manifest_that_was_changed_to_match_does_not_help(out: Path) -> None:
    from suture.checkpoint.digest import weights_digest

    flip(out, NAME, 0)
    manifest = json.loads((out / "manifest.json").read_text())
    manifest["weights_digest"] = weights_digest(out)
    (out / "manifest.json").write_text(json.dumps(manifest))
    verify(out)
    verify(out, tensors=["model.norm.weight"])
    with pytest.raises(IntegrityError, match=NAME):
        verify(out, tensors=[NAME])


def test_another_parent_is_named(made: Path, out: Path, tmp_path: Path) -> None:
    """The same path now holds other weights: digest and derived tensors both tell."""
    parents = shutil.copytree(made / "clinical", tmp_path / "clinical")
    manifest = (out / "manifest.json").read_text().replace(str(made / "clinical"), str(parents))
    (out / "manifest.json").write_text(manifest)
    verify(out, tensors=[NAME])
    shutil.rmtree(parents)
    tiny_model(parents, seed=3, chat_template=False)
    with pytest.raises(IntegrityError) as caught:
        verify(out, tensors=[NAME])
    assert [p.where for p in caught.value.problems] == [str(parents), NAME]


@pytest.mark.parametrize("file", ["config.json", "tokenizer.json", "chat_template.jinja"])
def test_a_small_file_that_was_changed_is_named(out: Path, file: str) -> None:
    (out / file).write_bytes((out / file).read_bytes() + b" ")
    with pytest.raises(IntegrityError) as caught:
        verify(out)
    assert str(out / file) in [p.where for p in caught.value.problems]


def test_a_small_file_that_is_missing_is_named(out: Path) -> None:
    (out / "tokenizer_config.json").unlink()
    with pytest.raises(IntegrityError, match=r"tokenizer_config\.json.*Got none"):
        verify(out)


def test_another_recipe_in_the_manifest_is_found(out: Path) -> None:
    manifest = json.loads((out / "manifest.json").read_text())
    manifest["recipe"]["parameters"]["t"] = 0.31
    (out / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(IntegrityError, match=NAME):
        verify(out, tensors=[NAME])


def test_tensors_added_or_retyped_are_named(made: Path, out: Path) -> None:
    from safetensors.torch import load_file, save_file

    tensors = load_file(out / "model.safetensors")
    tensors["extra"] = tensors.pop("model.norm.weight")
    tensors[NAME] = tensors[NAME].float()
    save_file(tensors, out / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(IntegrityError) as caught:
        verify(out, tensors=None)
    assert {p.where for p in caught.value.problems} == {"extra", NAME, "model.norm.weight", str(out)}


def test_what_cannot_be_verified_is_said(made: Path, out: Path) -> None:
    with pytest.raises(UsageError, match=r"'model\.norm\.wait'.*model\.norm\.weight"):
        verify(out, tensors=["model.norm.wait"])
    with pytest.raises(BadInputError, match="manifest"):
        verify(made / "general")
    (out / "manifest.json").write_text("{}")
    with pytest.raises(BadInputError, match="recipe"):
        verify(out)


def test_a_merge_without_digests_is_verified_by_its_tensors(made: Path, tmp_path: Path) -> None:
    recipe = json.loads((made / "out" / "manifest.json").read_text())["recipe"]
    execute(make_plan(parse_recipe(json.dumps(recipe))), tmp_path / "out", digests=False)
    found = verify(tmp_path / "out", tensors=None)
    assert "without digests" in found.notes[0]
    flip(tmp_path / "out", NAME, 5)
    verify(tmp_path / "out")
    with pytest.raises(IntegrityError, match=NAME):
        verify(tmp_path / "out", tensors=None)


def test_the_command_says_what_held_and_exits_10_where_not(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["verify", str(out), "--tensor", NAME])
    assert not caught.value.code
    assert "1 of " in capsys.readouterr().out
    flip(out, NAME, 5)
    with pytest.raises(SystemExit) as caught:
        main(["verify", str(out), "--all"])
    assert caught.value.code == IntegrityError.exit_code == 10
    assert NAME in capsys.readouterr().err
