from __future__ import annotations

import json
import os
import threading
from pathlib import Path

import numpy as np
import pytest

from suture.checkpoint import disk
from suture.checkpoint import layout as layout_module
from suture.checkpoint.header import read_checkpoint
from suture.checkpoint.reader import TensorReader
from suture.checkpoint.writer import CheckpointWriter, Layout, lay_out
from suture.errors import IntegrityError, OutputExistsError, ResourceError

TENSORS = [("b", "F32", (2, 3)), ("a", "BF16", (5,)), ("c", "F32", ())]
VALUES = {"b": np.arange(6, dtype=np.float32), "a": np.arange(5, dtype=np.uint16), "c": np.ones(1, dtype=np.float32)}


def fill(writer: CheckpointWriter, units: list[int] | None = None) -> list[int]:
    """Write units that are not finished, as the engine does; return those that were written."""
    written = []
    for unit in writer.layout.units:
        if unit.index in writer.finished or (units is not None and unit.index not in units):
            continue
        data = memoryview(VALUES[unit.name]).cast("B")
        width = VALUES[unit.name].itemsize
        slot = writer.layout.slots[unit.name]
        writer.write(slot, unit.start * width, data[unit.start * width : (unit.start + unit.count) * width])
        writer.done(unit.index, {"sum": float(VALUES[unit.name].sum()) / 3})
        written.append(unit.index)
    return written


def write(target: Path, max_shard_bytes: int = 1 << 30, **options: bool) -> None:
    with CheckpointWriter(target, lay_out(TENSORS, max_shard_bytes), key="k", **options) as writer:
        fill(writer)
        writer.publish({"config.json": b"{}", "manifest.json": b'{"weights_digest": "d"}'})


def check(target: Path) -> None:
    with TensorReader(read_checkpoint(target)) as reader:
        for name, info in reader.checkpoint.tensors.items():
            assert b"".join(bytes(block) for block in reader.blocks(info)) == VALUES[name].tobytes()


def small_pieces(monkeypatch: pytest.MonkeyPatch) -> Layout:
    """A layout in which every unit of at most 4 elements is a piece: b has two, a has two, c has one."""
    monkeypatch.setattr(layout_module, "UNIT_ELEMENTS", 4)
    monkeypatch.setattr(layout_module, "PIECE_BYTES", 1)
    found = lay_out(TENSORS, 1 << 30)
    assert len(found.pieces) == len(found.units) == 5
    return found


@pytest.mark.parametrize(("limit", "files"), [(1 << 30, 1), (30, 2), (1, 3)])
@pytest.mark.parametrize("sync", [True, False])
def test_what_was_written_is_read_back(tmp_path: Path, limit: int, files: int, sync: bool) -> None:
    write(tmp_path / "out", limit, sync=sync)
    checkpoint = read_checkpoint(tmp_path / "out")
    assert len(checkpoint.files) == files
    assert list(checkpoint.tensors) == ["b", "a", "c"]
    check(tmp_path / "out")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out"]
    assert {oct(p.stat().st_mode & 0o777) for p in checkpoint.files} == {oct(0o644 & ~current_umask())}


def current_umask() -> int:
    found = os.umask(0o22)
    os.umask(found)
    return found


def test_the_working_folder_may_be_the_target(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "out").mkdir()
    monkeypatch.chdir(tmp_path / "out")
    write(Path("."))
    check(tmp_path / "out")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out"]


def test_nothing_is_left_of_a_run_that_failed_before_its_first_piece(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), CheckpointWriter(tmp_path / "out", lay_out(TENSORS, 1 << 30), key="k"):
        raise ZeroDivisionError
    assert not list(tmp_path.iterdir())


def test_a_run_goes_on_where_the_last_one_was_interrupted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    layout = small_pieces(monkeypatch)

    def interrupted() -> None:
        with CheckpointWriter(tmp_path / "out", layout, key="k") as writer:
            assert writer.finished == {}
            fill(writer, [0, 3])
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    with CheckpointWriter(tmp_path / "out", layout, key="k") as writer:
        assert writer.finished == {0: {"sum": 5.0}, 3: {"sum": 10 / 3}}
        assert fill(writer) == [1, 2, 4]
        writer.publish({"config.json": b"{}"})
    check(tmp_path / "out")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out"]


def test_a_piece_counts_only_when_all_its_units_are_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layout_module, "UNIT_ELEMENTS", 4)
    monkeypatch.setattr(layout_module, "PIECE_BYTES", 24)
    layout = lay_out(TENSORS, 1 << 30)
    assert layout.pieces == (range(0, 2), range(2, 5))
    for left, finished in (([0, 2, 4], set()), ([0, 1, 2, 4], {0, 1})):
        with CheckpointWriter(tmp_path / "out", layout, key="k") as writer:
            fill(writer, left)
        with CheckpointWriter(tmp_path / "out", layout, key="k") as writer:
            assert set(writer.finished) == finished


def test_a_discarded_run_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with CheckpointWriter(tmp_path / "out", small_pieces(monkeypatch), key="k") as writer:
        fill(writer)
        writer.discard()
    assert not list(tmp_path.iterdir())


def test_an_output_that_lacks_a_unit_does_not_appear(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with CheckpointWriter(tmp_path / "out", small_pieces(monkeypatch), key="k") as writer:
        fill(writer, [0, 1, 2, 3])
        with pytest.raises(IntegrityError, match="1 of 5 unwritten"):
            writer.publish({})
    assert not (tmp_path / "out").exists()


def test_threads_may_finish_units_in_any_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with CheckpointWriter(tmp_path / "out", small_pieces(monkeypatch), key="k") as writer:
        threads = [threading.Thread(target=fill, args=(writer, [index])) for index in (4, 2, 0, 3, 1)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        writer.publish({})
    (tmp_path / "out" / "config.json").write_text("{}")
    check(tmp_path / "out")


PARTS = {"recipe": "r", "parent a": "1", "parent b": "2"}


def leave(tmp_path: Path, layout: Layout) -> None:
    """Leave a staging folder with a finished piece."""
    with CheckpointWriter(tmp_path / "out", layout, key="k", parts=PARTS) as writer:
        fill(writer, [0])


def test_pieces_of_other_work_are_refused_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    layout = small_pieces(monkeypatch)
    leave(tmp_path, layout)

    def refused(key: str, parts: dict[str, str], layout: Layout = layout) -> str:
        with pytest.raises(OutputExistsError) as caught:
            CheckpointWriter(tmp_path / "out", layout, key=key, parts=parts).__enter__()
        assert "--restart" in str(caught.value)
        return str(caught.value)

    assert "with another parent b." in refused("k2", {**PARTS, "parent b": "3"})
    assert "with another recipe, another parent c." in refused("k2", {**PARTS, "recipe": "x", "parent c": "3"})
    assert "with another recipe or parent." in refused("k2", PARTS)
    assert "with another layout of the output." in refused("k", PARTS, lay_out(TENSORS, 1))
    monkeypatch.setattr("suture.checkpoint.staging.__version__", "9.9")
    assert "with another version of Suture (" in refused("k", PARTS)


def test_restart_removes_what_other_work_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    layout = small_pieces(monkeypatch)
    leave(tmp_path, layout)
    with CheckpointWriter(tmp_path / "out", layout, key="k2", restart=True) as writer:
        assert writer.finished == {}
        fill(writer)
        writer.publish({"config.json": b"{}"})
    check(tmp_path / "out")


@pytest.mark.parametrize("harm", ["header", "size", "gone"])
def test_pieces_in_files_that_were_harmed_are_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, harm: str
) -> None:
    layout = small_pieces(monkeypatch)
    leave(tmp_path, layout)
    file = tmp_path / ".out.suture-partial" / "model" / "model.safetensors"
    if harm == "gone":
        file.unlink()
    else:
        file.write_bytes(b"\0" * file.stat().st_size if harm == "header" else file.read_bytes()[:-1])
    with CheckpointWriter(tmp_path / "out", layout, key="k") as writer:
        assert writer.finished == {}
        fill(writer)
        writer.publish({"config.json": b"{}"})
    check(tmp_path / "out")


def test_an_existing_output_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("mine")
    for overwrite in (False, True):
        with pytest.raises(OutputExistsError, match="new or empty"):
            write(tmp_path / "out", overwrite=overwrite)
    assert (tmp_path / "out" / "mine.txt").read_text() == "mine"
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def test_a_link_is_never_followed(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "out").symlink_to("elsewhere")
    with pytest.raises(OutputExistsError, match="a link"):
        write(tmp_path / "out", overwrite=True)
    assert not list((tmp_path / "elsewhere").iterdir())


def test_what_appears_meanwhile_is_left_alone(tmp_path: Path) -> None:
    with CheckpointWriter(tmp_path / "out", lay_out(TENSORS, 1 << 30), key="k") as writer:
        fill(writer)
        (tmp_path / "out").mkdir()
        (tmp_path / "out" / "theirs").write_text("theirs")
        with pytest.raises(OutputExistsError):
            writer.publish({})
        with pytest.raises(OutputExistsError, match="meanwhile"):
            disk.rename_folder(tmp_path / ".out.suture-partial" / "model", tmp_path / "out")
    assert (tmp_path / "out" / "theirs").read_text() == "theirs"
    (tmp_path / "out" / "theirs").unlink()
    write(tmp_path / "out")
    check(tmp_path / "out")


@pytest.mark.parametrize("swaps", [True, False])
def test_overwrite_replaces_an_output_of_suture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, swaps: bool) -> None:
    write(tmp_path / "out")
    (tmp_path / "out" / "old").write_text("old")
    with pytest.raises(OutputExistsError, match="--overwrite"):
        write(tmp_path / "out")
    if not swaps:
        monkeypatch.setattr("suture.checkpoint.target.exchange", lambda one, other: False)
    write(tmp_path / "out", overwrite=True)
    check(tmp_path / "out")
    assert not (tmp_path / "out" / "old").exists()
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def test_a_file_system_that_cannot_swap_is_told_from_an_error(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / name).touch()
    assert disk.exchange(tmp_path / "one", tmp_path / "two") in (True, False)
    with pytest.raises(FileNotFoundError):
        disk.exchange(tmp_path / "one", tmp_path / "none")


def test_a_second_run_is_kept_out(tmp_path: Path) -> None:
    layout = lay_out(TENSORS, 1 << 30)
    with CheckpointWriter(tmp_path / "out", layout, key="k"):
        with pytest.raises(OutputExistsError, match="a lock of process"):
            CheckpointWriter(tmp_path / "out", layout, key="k").__enter__()
        assert (tmp_path / ".out.suture-partial").is_dir()


def test_what_a_run_left_that_finished_nothing_is_swept(tmp_path: Path) -> None:
    (tmp_path / ".out.suture-partial").mkdir()
    (tmp_path / ".out.suture-partial" / "half").write_text("half")
    (tmp_path / ".out.suture-lock").write_text("process 1 on nowhere")
    write(tmp_path / "out")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out"]


def test_a_disk_too_small_is_refused_before_writing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    layout = lay_out([("a", "F32", (2**24,))], 1 << 60)
    monkeypatch.setattr(disk, "free_bytes", lambda folder: 2**26 - 1)
    with pytest.raises(ResourceError, match="bytes free"), CheckpointWriter(tmp_path / "out", layout, key="k"):
        pass
    assert not list(tmp_path.iterdir())


def test_space_is_asked_only_for_what_is_not_there_yet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    layout = small_pieces(monkeypatch)
    leave(tmp_path, layout)
    asked: list[int] = []
    monkeypatch.setattr(disk, "check_space", lambda folder, needed: asked.append(needed))
    with CheckpointWriter(tmp_path / "out", layout, key="k") as writer:
        assert writer.finished
    assert asked[0] < layout.nbytes


def test_an_input_that_changes_is_noticed(tmp_path: Path) -> None:
    write(tmp_path / "out")
    checkpoint = read_checkpoint(tmp_path / "out")
    with TensorReader(checkpoint) as reader:
        reader.check_unchanged()
        with checkpoint.files[0].open("ab") as stream:
            stream.write(b"x")
        with pytest.raises(IntegrityError, match="must not change"):
            reader.check_unchanged()


def test_the_journal_says_what_the_run_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    layout = small_pieces(monkeypatch)
    leave(tmp_path, layout)
    first = (tmp_path / ".out.suture-partial" / "journal.jsonl").read_text().splitlines()[0]
    header = json.loads(first.partition(" ")[2])
    assert (header["key"], header["layout"], header["parts"]) == ("k", layout.digest, PARTS)
    assert header["version"]
