"""Model folders that `suture merge` must refuse by name, with the right exit code and no output: faults 1 to 16.

Each case spoils a good parent in one way. A pickle that is opened, or code that is run, would leave a mark.
"""

from __future__ import annotations

import json
import os
import pickle
import random
import shutil
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from suture.checkpoint.load import load_model
from suture.checkpoint.reader import TensorReader
from suture.cli import main
from suture.errors import BadInputError

NORM = "model.norm.weight"
FP8 = {"quant_method": "fp8", "weight_block_size": [128, 128]}
INDEX = "model.safetensors.index.json"
Spoil = Callable[[Path], None]


class Marking:
    """A pickle of this makes the file `opened` where it is loaded."""

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.mkdir, ("opened",)


def weights(folder: Path) -> Path:
    return folder / "model.safetensors"


def parts(folder: Path) -> tuple[dict[str, Any], bytes]:
    raw = weights(folder).read_bytes()
    (length,) = struct.unpack("<Q", raw[:8])
    return json.loads(raw[8 : 8 + length]), raw[8 + length :]


def packed(header: bytes, data: bytes) -> bytes:
    return struct.pack("<Q", len(header)) + header + data


def raw(make: Callable[[bytes], bytes]) -> Spoil:
    """Spoil the weight file's bytes."""
    return lambda folder: weights(folder).write_bytes(make(weights(folder).read_bytes())) and None


def header(change: Callable[[dict[str, Any]], None]) -> Spoil:
    """Spoil the parsed header."""

    def spoil(folder: Path) -> None:
        found, data = parts(folder)
        change(found)
        weights(folder).write_bytes(packed(json.dumps(found).encode(), data))

    return spoil


def text(change: Callable[[str], str]) -> Spoil:
    """Spoil the header's text."""

    def spoil(folder: Path) -> None:
        found, data = parts(folder)
        weights(folder).write_bytes(packed(change(json.dumps(found)).encode(), data))

    return spoil


def tensors(change: Callable[[dict[str, torch.Tensor]], object]) -> Spoil:
    """Change the tensors; the file stays a good one."""

    def spoil(folder: Path) -> None:
        found = load_file(weights(folder))
        change(found)
        save_file(found, weights(folder), metadata={"format": "pt"})

    return spoil


def config(**changes: Any) -> Spoil:
    def spoil(folder: Path) -> None:
        file = folder / "config.json"
        file.write_text(json.dumps(json.loads(file.read_text()) | changes))

    return spoil


def both(*spoils: Spoil) -> Spoil:
    def spoil(folder: Path) -> None:
        for one in spoils:
            one(folder)

    return spoil


def sharded(change: Callable[[dict[str, str]], object], name: str = "s.safetensors") -> Spoil:
    """Make it one shard and an index, and spoil the index's weight_map."""

    def spoil(folder: Path) -> None:
        placed = dict.fromkeys(load_file(weights(folder)), name)
        weights(folder).rename(folder / "s.safetensors")
        change(placed)
        (folder / INDEX).write_text(json.dumps({"weight_map": placed}))

    return spoil


def linked_out(name: str) -> Spoil:
    def spoil(folder: Path) -> None:
        outside = folder.parent / "outside"
        (folder / name).rename(outside)
        (folder / name).symlink_to(outside)

    return spoil


def only(name: str, content: bytes) -> Spoil:
    """Put another file in the place of the weights."""

    def spoil(folder: Path) -> None:
        weights(folder).unlink()
        (folder / name).write_bytes(content)

    return spoil


def zipped(folder: Path) -> None:
    with zipfile.ZipFile(weights(folder), "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps(Marking()))


def swap_two_words(folder: Path) -> None:
    file = folder / "tokenizer.json"
    found = json.loads(file.read_text())
    vocabulary = found["model"]["vocab"]
    first, second = list(vocabulary)[300:302]
    vocabulary[first], vocabulary[second] = vocabulary[second], vocabulary[first]
    file.write_text(json.dumps(found))


def repeated(found: str, dtype: str) -> str:
    entry = json.loads(found)[NORM] | {"dtype": dtype}
    return f'{found[:-1]}, "{NORM}": {json.dumps(entry)}}}'


def rename(found: dict[str, Any], name: str) -> None:
    found[name] = found.pop(NORM)


def set_entry(found: dict[str, Any], **changes: Any) -> None:
    found[NORM].update(changes)


def shift(found: dict[str, Any], step: int) -> None:
    begin, end = found[NORM]["data_offsets"]
    found[NORM]["data_offsets"] = [begin + step, end + step]


def value(number: float, count: int) -> Spoil:
    return tensors(lambda found: found[NORM][:count].fill_(number))


CASES: dict[str, tuple[Spoil, int, str]] = {
    "1 header length 2^63": (raw(lambda r: struct.pack("<Q", 2**63) + r[8:]), 3, "length 9223372036854775808"),
    "1 header length over 100 MB": (raw(lambda r: struct.pack("<Q", 100_000_001) + r[8:]), 3, "length 100000001"),
    "1 header length zero": (raw(lambda r: struct.pack("<Q", 0) + r[8:]), 3, "length 0"),
    "2 tensor twice": (text(lambda t: repeated(t, "F32")), 3, f"a repeated key, '{NORM}'"),
    "2 tensor twice, another dtype": (text(lambda t: repeated(t, "I32")), 3, f"a repeated key, '{NORM}'"),
    "2 metadata twice": (text(lambda t: t.replace('"format"', '"format": "np", "format"', 1)), 3, "a repeated key"),
    "2 metadata of numbers": (header(lambda h: h.update(__metadata__={"k": 1})), 3, "map strings to strings"),
    "3 hole": (header(lambda h: shift(h, 4)), 3, "without hole or overlap"),
    "3 overlap": (header(lambda h: shift(h, -4)), 3, "without hole or overlap"),
    "3 trailing byte": (raw(lambda r: r + b"\0"), 3, "must end where its last tensor ends"),
    "4 truncated header": (raw(lambda r: r[:100]), 3, "length of its header"),
    "4 truncated data": (raw(lambda r: r[:-1]), 3, "must end where its last tensor ends"),
    "5 shape overflow": (header(lambda h: set_entry(h, shape=[2**62, 2**62])), 3, "less than 2^63 bytes"),
    "5 unknown dtype": (header(lambda h: set_entry(h, dtype="F7")), 3, f"'{NORM}' of 'F7'"),
    "5 deep JSON": (raw(lambda r: packed(b'{"a":' * 100_000, b"")), 3, "nested too deep"),
    "6 empty name": (header(lambda h: rename(h, "")), 3, "name must be"),
    "6 NUL in a name": (header(lambda h: rename(h, "a\0b")), 3, "name must be"),
    "6 climbing name": (header(lambda h: rename(h, "../a")), 3, "'../a'"),
    "6 name of 1 MB": (header(lambda h: rename(h, "a" * 1_000_000)), 3, "name must be"),
    "7 shard above": (sharded(lambda p: None, "../s.safetensors"), 3, "plain file name"),
    "7 absolute shard": (sharded(lambda p: None, "/s.safetensors"), 3, "plain file name"),
    "7 shard of a name too long": (sharded(lambda p: None, "s" * 300), 3, "plain file name"),
    "7 shard that is no text": (sharded(lambda p: p.update({NORM: 1})), 3, "from tensors to files"),  # type: ignore[dict-item]
    "7 link out of the folder": (linked_out("model.safetensors"), 3, "a link out of it: model.safetensors"),
    "7 config is a link out": (linked_out("config.json"), 3, "a link out of it: config.json"),
    "7 tokenizer is a link out": (linked_out("tokenizer.json"), 3, "a link out of it: tokenizer.json"),
    "8 index names more": (sharded(lambda p: p.update(b="s.safetensors")), 3, "in the index and in no shard: 'b'"),
    "8 index names less": (sharded(lambda p: p.pop(NORM)), 3, "the index does not name"),
    "8 a shard is missing": (sharded(lambda p: p.update(b="t.safetensors")), 3, "no 't.safetensors'"),
    "8 index beside a single file": (
        lambda folder: (folder / INDEX).write_text('{"weight_map": {"a": "model.safetensors"}}') and None,
        3,
        "not both",
    ),
    "9 .bin": (only("pytorch_model.bin", pickle.dumps(Marking())), 3, "pickles (pytorch_model.bin)"),
    "9 .pt": (only("model.pt", pickle.dumps(Marking())), 3, "pickles (model.pt)"),
    "9 renamed pickle": (only("model.safetensors", pickle.dumps(Marking())), 3, "Got a pickle in"),
    "9 renamed zip": (zipped, 3, "Got a zip archive"),
    "9 .nemo": (only("llama.nemo", b""), 3, "convert_<family>_nemo_to_hf.py --input_name_or_path"),
    "9 .gguf": (only("llama.gguf", b"GGUF"), 3, "GGUF files"),
    "9 adapter alone": (only("adapter_config.json", b"{}"), 3, "merge_and_unload"),
    "13 NaN": (value(float("nan"), 3), 7, f"{NORM}: Weights must be finite. Got 3 NaN or infinite values"),
    "13 infinity": (value(float("-inf"), 2), 7, f"{NORM}: Weights must be finite. Got 2 NaN or infinite values"),
    "15 missing tensor": (tensors(lambda t: t.pop(NORM)), 4, f"1 missing: {NORM}"),
    "15 extra tensor": (tensors(lambda t: t.update(extra=torch.ones(2))), 4, "1 missing: extra"),
    "15 reshaped tensor": (tensors(lambda t: t.update({NORM: torch.ones(33)})), 4, f"'{NORM}' [33] instead of [32]"),
    "15 retyped tensor": (tensors(lambda t: t.update({NORM: torch.ones(32).long()})), 4, f"'{NORM}' F32 and I64"),
    "15 fp8 without scales": (
        both(tensors(lambda t: t.update({NORM: t[NORM].to(torch.float8_e4m3fn)})), config(quantization_config=FP8)),
        3,
        f"none for 1 of 1: {NORM}",
    ),
    "15 quantised to integers": (
        both(
            tensors(lambda t: t.update({"x.qweight": torch.ones(2).int()})),
            config(quantization_config={"quant_method": "gptq"}),
        ),
        3,
        "(quant_method 'gptq'): 'x.qweight' I32",
    ),
    "15 another vocabulary": (swap_two_words, 4, "The vocabulary must be that of"),
    "15 another architecture": (config(model_type="mistral"), 4, "one architecture"),
    "15 a tied head of other values": (
        tensors(lambda t: t.update({"lm_head.weight": t["model.embed_tokens.weight"] + 1})),
        4,
        "others in 'lm_head.weight'",
    ),
    "config of no JSON": (lambda folder: (folder / "config.json").write_text("{") and None, 3, "one JSON object"),
    "config of repeated keys": (
        lambda folder: (folder / "config.json").write_text('{"a": 1, "a": 2}') and None,
        3,
        "a repeated key, 'a'",
    ),
    "tokenizer of no JSON": (lambda folder: (folder / "tokenizer.json").write_text("[") and None, 3, "one JSON object"),
}


def recipe(general: Path, clinical: Path, extra: str = "") -> Path:
    path = clinical.parent / "recipe.yaml"
    lines = "".join(f"  - {{model: {model}, parameters: {{weight: 0.5}}}}\n" for model in (general, clinical))
    path.write_text(f"merge_method: linear\ngeneral: {general}\nmodels:\n{lines}{extra}")
    return path


def run(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        main([str(word) for word in words])
    out, err = capsys.readouterr()
    assert "Traceback" not in out + err
    assert "unforeseen" not in err, err
    return int(ended.value.code or 0), out, err


@pytest.fixture
def bad(tmp_path: Path, tiny_pair: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> Path:
    """A good copy of the clinical parent, to be spoilt; the working directory shows marks."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return Path(shutil.copytree(tiny_pair[1], tmp_path / "bad"))


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")  # projections on infinite values, before the refusal
@pytest.mark.parametrize("name", CASES)
def test_refused_by_name(
    name: str, bad: Path, tiny_pair: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spoil, code, said = CASES[name]
    spoil(bad)
    found, _, err = run(capsys, "merge", recipe(tiny_pair[0], bad), tmp_path / "out")
    assert (found, said in err) == (code, True), err
    assert "\nerror: " in f"\n{err}"
    assert not (tmp_path / "out").exists()
    assert not list(tmp_path.glob(".out*"))
    assert not list((tmp_path / "here").iterdir())


def test_a_pickle_that_is_opened_leaves_its_mark(bad: Path) -> None:
    """So that the absence of a mark, above, says something."""
    pickle.loads(pickle.dumps(Marking()))
    assert Path("opened").is_dir()


def test_9_what_lies_beside_good_weights_is_not_opened(bad: Path, tiny_pair: tuple[Path, Path], tmp_path: Path) -> None:
    (bad / "pytorch_model.bin").write_bytes(pickle.dumps(Marking()))
    load_model(bad)
    assert not list((tmp_path / "here").iterdir())
    (bad / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": str(tiny_pair[0])}))
    with pytest.raises(BadInputError, match="an adapter beside it"):
        load_model(bad)


def test_4_truncated_at_random_places(
    bad: Path, tiny_pair: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = weights(bad).read_bytes()
    path = recipe(tiny_pair[0], bad)
    for length in random.Random(0).sample(range(len(whole)), 20):
        weights(bad).write_bytes(whole[:length])
        code, _, err = run(capsys, "plan", path)
        assert code == 3
        assert str(weights(bad)) in err


def test_10_code_is_neither_run_nor_copied(
    bad: Path, tiny_pair: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (bad / "modeling.py").write_text("import os\nos.mkdir('opened')\n")
    (bad / "sitecustomize.py").write_text("import os\nos.mkdir('opened')\n")
    code = {"AutoConfig": "modeling.C", "AutoModelForCausalLM": "modeling.M", "AutoTokenizer": ["modeling.T", None]}
    config(auto_map=code)(bad)
    settings = bad / "tokenizer_config.json"
    settings.write_text(json.dumps(json.loads(settings.read_text()) | {"auto_map": code}))
    path = recipe(bad, shutil.copytree(tiny_pair[1], tmp_path / "other"))
    assert run(capsys, "merge", path, tmp_path / "out")[0] == 0
    load_model(bad)
    load_model(tmp_path / "out")
    assert not list((tmp_path / "here").iterdir())
    assert not list((tmp_path / "out").glob("*.py"))
    for file in (tmp_path / "out").glob("*.json"):
        assert "auto_map" not in file.read_text()


LOOP = "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}\x1b[2J"


def test_11_a_template_that_loops_is_copied_as_bytes_and_never_rendered_to_its_end(
    bad: Path, tiny_pair: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (bad / "chat_template.jinja").write_text(LOOP)
    path = recipe(bad, shutil.copytree(tiny_pair[0], tmp_path / "other"))
    code, out, _ = run(capsys, "merge", path, tmp_path / "out")
    assert code == 0
    assert "chat template of" in out
    assert "-{% for a in range(99999) %}" in out
    assert "+{% for message in messages %}" in out
    assert "\x1b[2J" not in out
    assert (tmp_path / "out" / "chat_template.jinja").read_bytes() == LOOP.encode()
    with pytest.raises(BadInputError, match="A chat template must end"):
        load_model(tmp_path / "out")


def test_13_in_every_parent_at_once(
    bad: Path, tiny_pair: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    general = Path(shutil.copytree(tiny_pair[0], tmp_path / "general"))
    value(float("nan"), 1)(general)
    value(float("nan"), 4)(bad)
    code, _, err = run(capsys, "merge", recipe(general, bad), tmp_path / "out")
    assert code == 7
    assert f"{general}, {NORM}: Weights must be finite. Got 1 NaN" in err
    assert f"{bad}, {NORM}: Weights must be finite. Got 4 NaN" in err


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_14_overflow_on_the_output_cast(
    dtype: str, bad: Path, tiny_pair: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    value({"float16": 2e5, "bfloat16": 3.4028e38}[dtype], 2)(bad)
    general = Path(shutil.copytree(bad, tmp_path / "general"))
    found, _, err = run(capsys, "merge", recipe(general, bad, f"out_dtype: {dtype}\n"), tmp_path / "out")
    assert (found, f"{NORM}: The result must fit" in err, "2 values" in err) == (7, True, True), err
    assert not (tmp_path / "out").exists()


def replaced(folder: Path) -> None:
    copy = folder / "copy"
    shutil.copy(weights(folder), copy)
    copy.replace(weights(folder))


def rewritten(folder: Path) -> None:
    """Another value, the same size, and the time of modification set back."""
    before = weights(folder).stat()
    with weights(folder).open("r+b") as stream:
        stream.seek(-4, os.SEEK_END)
        stream.write(b"\0\0\0\1")
    os.utime(weights(folder), ns=(before.st_atime_ns, before.st_mtime_ns))
    assert weights(folder).stat().st_mtime_ns == before.st_mtime_ns


def cut(folder: Path) -> None:
    os.truncate(weights(folder), 1000)


def removed(folder: Path) -> None:
    weights(folder).unlink()


@pytest.mark.parametrize("when", ["before the first read", "after the last read"])
@pytest.mark.parametrize("change", [replaced, rewritten, cut, removed])
def test_16_an_input_that_changes_during_the_run(
    change: Spoil,
    when: str,
    bad: Path,
    tiny_pair: tuple[Path, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    place = TensorReader.check_unchanged if when.startswith("after") else TensorReader.__enter__
    changed = []

    def changing(reader: TensorReader) -> Any:
        if not changed:
            changed.append(when)
            change(bad)
        return place(reader)

    monkeypatch.setattr(TensorReader, place.__name__, changing)
    found, _, err = run(capsys, "merge", recipe(tiny_pair[0], bad), tmp_path / "out")
    assert (found, str(weights(bad)) in err) == (10, True), err
    assert "An input must not change during the run" in err
    assert not (tmp_path / "out").exists()
