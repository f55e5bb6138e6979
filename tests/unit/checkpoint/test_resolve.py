from __future__ import annotations

import logging
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from suture.checkpoint.header import read_checkpoint
from suture.checkpoint.resolve import resolve_model
from suture.errors import BadInputError

COMMIT = "0123456789abcdef0123456789abcdef01234567"
TOKEN = "hf_" + "canaryCANARYcanaryCANARYcanary1234"


def test_a_folder_is_itself(tmp_path: Path) -> None:
    assert resolve_model(str(tmp_path)) == tmp_path


@pytest.mark.parametrize(
    "reference", ["/no/such/folder", "no-such-folder", "a/b/c", "../x/y", "a/..", "a/b@../c", "-a/b"]
)
def test_a_missing_folder(reference: str) -> None:
    with pytest.raises(BadInputError, match=r"A model must be a folder\. Got no such folder"):
        resolve_model(reference)


def test_a_name_with_nul() -> None:
    with pytest.raises(BadInputError, match="NUL in its name"):
        resolve_model("a/b\0")


@pytest.mark.parametrize("reference", ["x" * 5000, "~no-such-user-here/model"])
def test_a_path_that_no_file_system_has(reference: str) -> None:
    with pytest.raises(BadInputError, match="a folder that can be read"):
        resolve_model(reference)


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("model.safetensors", "the folder that holds it"),
        ("llama.nemo", "convert_<family>_nemo_to_hf.py"),
        ("llama.gguf", "original weights in safetensors"),
        ("pytorch_model.bin", "Pickles are never opened"),
    ],
)
def test_a_file_is_not_a_model(name: str, advice: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b"")
    with pytest.raises(BadInputError, match=advice):
        resolve_model(str(tmp_path / name))


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny_pair: tuple[Path, Path]) -> Path:
    """A hub cache as huggingface_hub lays it out: blobs, and a snapshot of links to them."""
    from huggingface_hub import constants

    root = tmp_path / "hub"
    model = root / "models--org--name"
    snapshot = model / "snapshots" / COMMIT
    snapshot.mkdir(parents=True)
    (model / "blobs").mkdir()
    for number, file in enumerate(sorted(tiny_pair[0].iterdir())):
        shutil.copy(file, model / "blobs" / f"{number:040x}")
        (snapshot / file.name).symlink_to(Path("../../blobs") / f"{number:040x}")
    for reference in ("main", "v1.0", "pr/7"):
        place = model / "refs" / reference
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(COMMIT)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(root))
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    return root


@pytest.mark.parametrize("revision", ["", "@main", "@v1.0", "@pr/7", f"@{COMMIT}"])
def test_a_hub_id_is_found_in_the_cache_without_a_network(revision: str, cache: Path) -> None:
    folder = resolve_model(f"org/name{revision}")
    assert folder == cache / "models--org--name" / "snapshots" / COMMIT
    assert len(read_checkpoint(folder).tensors) > 10


@pytest.mark.parametrize("reference", ["org/other", "org/name@v2", "org/name@" + "f" * 40])
def test_what_is_not_in_the_cache(reference: str, cache: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with pytest.raises(BadInputError, match=r"not in the hub cache.*--online") as caught:
        resolve_model(reference)
    assert TOKEN not in f"{caught.value} {caplog.text}"
    assert caught.value.__suppress_context__


@pytest.mark.parametrize(
    ("kind", "advice"), [("GatedRepoError", "HF_TOKEN"), ("OfflineModeIsEnabled", "Check the name")]
)
def test_the_token_stands_in_no_error(
    kind: str,
    advice: str,
    cache: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Whatever the library says of its request is left out; here it says the header with the token."""
    import huggingface_hub

    from suture.cli import main

    class TellingError(OSError):
        pass

    TellingError.__name__ = kind

    def snapshot(name: str, **options: object) -> str:
        assert options["local_files_only"] is False
        raise TellingError(f"401 for https://hub/{name}, authorization: Bearer {TOKEN}")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot)
    caplog.set_level(logging.DEBUG)
    with pytest.raises(BadInputError, match=f"not fetched from the hub .{kind}.*{advice}"):
        resolve_model("org/gated", online=True)
    with pytest.raises(SystemExit) as ended:
        main(["--debug", "digest", "org/gated", "--online"])
    assert ended.value.code == 3
    out, err = capsys.readouterr()
    assert TOKEN not in out + err + caplog.text


def test_only_online_reaches_the_network_and_never_for_code(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import huggingface_hub

    asked: list[dict[str, object]] = []

    def snapshot(name: str, **options: object) -> str:
        asked.append(options)
        return str(tmp_path)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot)
    resolve_model("org/there@main")
    resolve_model("org/there@main", online=True)
    assert [options["local_files_only"] for options in asked] == [True, False]
    assert [options["revision"] for options in asked] == ["main", "main"]
    patterns = asked[0]["allow_patterns"]
    assert isinstance(patterns, list)
    for name in ("modeling_x.py", "pytorch_model.bin", "model.pkl"):
        assert not any(Path(name).match(pattern) for pattern in patterns)


def test_in_a_fresh_process_a_missing_hub_id_is_named_too(cache: Path) -> None:
    # what the library loads lazily may by chance have been loaded by another test
    code = "from suture.checkpoint.resolve import resolve_model\nresolve_model('org/none')"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "BadInputError" in ran.stderr
    assert "not in the hub cache" in ran.stderr
