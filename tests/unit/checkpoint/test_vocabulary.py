"""Vocabularies compared by content, unions that transformers loads with the stated ids, rows by the stated rules."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from safetensors.torch import save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

from suture.checkpoint.header import Checkpoint, read_checkpoint
from suture.checkpoint.opened import blocks_of, open_input, reading
from suture.checkpoint.source import Source, elements_of
from suture.checkpoint.token_plan import OutputVocabulary, plan_vocabulary
from suture.checkpoint.token_rows import Rows, mapped
from suture.checkpoint.tokenizer_files import (
    generation_file,
    remapped_ids,
    resized,
    stop_token_note,
    stop_tokens,
    union_files,
)
from suture.checkpoint.vocabulary import Vocabulary, read_vocabulary, require_same, same_vocabulary
from suture.errors import BadInputError, IncompatibleError

WIDTH = 3


@dataclass(frozen=True)
class Origin:
    kind: str = "model"
    model: str | None = None
    token: str | None = None
    token_id: int | None = None
    force: bool = False


@dataclass(frozen=True)
class Asked:
    source: str | None = None
    tokens: tuple[tuple[str, Origin], ...] = ()
    pad_to_multiple_of: int | None = None


def bpe(pieces: Sequence[str], added: Sequence[str]) -> Tokenizer:
    merges = [(piece[:-1], piece[-1]) for piece in pieces if len(piece) == 2]
    raw = Tokenizer(models.BPE({piece: i for i, piece in enumerate(pieces)}, merges))
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = decoders.ByteLevel()
    raw.add_special_tokens(list(added))
    return raw


def model_folder(folder: Path, raw: Tokenizer, rows: int, *, seed: int = 0, **settings: Any) -> Path:
    """A folder with a tokenizer, an embedding and a head of `rows` rows."""
    folder.mkdir()
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_object=raw, **settings)
    tokenizer.save_pretrained(folder)
    torch.manual_seed(seed)
    save_file(
        {
            "embed.weight": torch.randn(rows, WIDTH),
            "head.weight": torch.randn(rows, WIDTH),
            "bias": torch.randn(1, rows),
        },
        folder / "model.safetensors",
    )
    (folder / "config.json").write_text(json.dumps({"vocab_size": rows}))
    return folder


class Pair:
    """Two models: `a` has tokens x y xy + <s> <e>, 7 rows; `b` has y x xx + <s> <new>, 5 rows."""

    def __init__(self, folder: Path) -> None:
        self.folders = {
            "a": model_folder(folder / "a", bpe(["x", "y", "xy"], ["<s>", "<e>"]), 7, seed=1, eos_token="<e>"),
            "b": model_folder(folder / "b", bpe(["y", "x", "xx"], ["<s>", "<new>"]), 5, seed=2, eos_token="<new>"),
        }
        self.checkpoints: dict[str, Checkpoint] = {n: read_checkpoint(f) for n, f in self.folders.items()}
        self.vocabularies = [read_vocabulary(n, f, {"a": 7, "b": 5}[n]) for n, f in self.folders.items()]

    def inputs(self, tensor: str) -> list[Any]:
        return [c.tensors[tensor] for c in self.checkpoints.values()]

    def values(self, tensor: str) -> list[np.ndarray]:
        return [self.read(given) for given in self.inputs(tensor)]

    def read(self, given: Any, block: int = 1 << 20) -> np.ndarray:
        found = np.empty(elements_of(given), np.float32)
        with reading(*self.checkpoints.values()) as reader_of:
            for start, values in blocks_of(open_input(given, reader_of), found.size, block):
                found[start : start + values.size] = values
        return found.reshape(given.shape)

    def plan(self, asked: Asked, giver: str = "a", base: str | None = None) -> OutputVocabulary:
        return plan_vocabulary(asked, self.vocabularies, giver=giver, base=base)

    def rows(self, output: OutputVocabulary, tensor: str = "embed.weight") -> list[np.ndarray]:
        return [self.read(mapped(found, self.inputs(tensor))) for found in output.maps]


@pytest.fixture
def pair(tmp_path: Path) -> Pair:
    return Pair(tmp_path)


def test_the_same_by_content_not_by_size(pair: Pair, tmp_path: Path) -> None:
    a, b = pair.vocabularies
    assert dict(a.ids) == {"x": 0, "y": 1, "xy": 2, "<s>": 3, "<e>": 4}
    assert same_vocabulary(a, read_vocabulary("c", pair.folders["a"], 12))
    assert len(a.ids) == len(b.ids)
    with pytest.raises(IncompatibleError) as error:
        require_same([a, b, a])
    assert "6 other tokens (2 of them at another id): 'xx', '<new>', 'x', 'y', 'xy', '<e>'" in str(error.value)


def test_added_tokens_and_pieces_count_alike(tmp_path: Path) -> None:
    one = model_folder(tmp_path / "one", bpe(["x", "y"], ["<s>"]), 3)
    other = model_folder(tmp_path / "other", bpe(["x", "y", "<s>"], []), 3)
    assert same_vocabulary(read_vocabulary("1", one, 3), read_vocabulary("2", other, 3))


def test_union_keeps_the_givers_ids_and_appends_in_order(pair: Pair) -> None:
    output = pair.plan(Asked("union"))
    assert dict(output.ids) == {"x": 0, "y": 1, "xy": 2, "<s>": 3, "<e>": 4, "xx": 5, "<new>": 6}
    assert output.rows == 7
    assert [(t.token, t.owner) for t in output.new] == [("xx", "b"), ("<new>", "b")]
    assert any("adds 2 tokens" in note for note in output.notes)
    assert any("eos_token of b" in note for note in output.notes)


@pytest.mark.parametrize("giver", ["a", "b"])
def test_a_union_loads_with_these_ids(pair: Pair, tmp_path: Path, giver: str) -> None:
    output = pair.plan(Asked("union"), giver=giver)
    folder = tmp_path / "out"
    shutil.copytree(pair.folders[giver], folder)
    for name, content in union_files(output, pair.folders).items():
        (folder / name).write_bytes(content)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    assert tokenizer.get_vocab() == dict(output.ids)
    other = next(name for name in pair.folders if name != giver)
    before = transformers.AutoTokenizer.from_pretrained(pair.folders[giver])
    assert tokenizer("xyyxx")["input_ids"] == before("xyyxx")["input_ids"]
    special = {"a": "<e>", "b": "<new>"}[other]
    assert tokenizer(f"x{special}y")["input_ids"] == [output.ids["x"], output.ids[special], output.ids["y"]]
    assert special in [str(token) for token in tokenizer.added_tokens_decoder.values()]
    assert tokenizer.decode([output.ids[special]], skip_special_tokens=True) == ""
    again = read_vocabulary("out", folder, output.rows)
    assert again.ids == output.ids


def test_a_union_of_unigrams_loads_with_these_ids(tmp_path: Path) -> None:
    def unigram(pieces: list[str]) -> Tokenizer:
        raw = Tokenizer(models.Unigram([("<unk>", 0.0), *((p, -1.0 - i) for i, p in enumerate(pieces))], unk_id=0))
        raw.pre_tokenizer = pre_tokenizers.Metaspace()
        return raw

    folders = {
        "a": model_folder(tmp_path / "a", unigram(["\u2581x", "y"]), 3, unk_token="<unk>"),
        "b": model_folder(tmp_path / "b", unigram(["\u2581z", "y"]), 3, unk_token="<unk>"),
    }
    output = plan_vocabulary(Asked("union"), [read_vocabulary(n, f, 3) for n, f in folders.items()], giver="a")
    for name, content in union_files(output, folders).items():
        (folders["a"] / name).write_bytes(content)
    assert transformers.AutoTokenizer.from_pretrained(folders["a"]).get_vocab() == dict(output.ids)
    assert output.ids["\u2581z"] == 3


def test_rows_own_then_only_owner(pair: Pair) -> None:
    (a, b), output = pair.values("embed.weight"), pair.plan(Asked("union"))
    found_a, found_b = pair.rows(output)
    np.testing.assert_array_equal(found_a, np.vstack([a[:5], b[2:3], b[4:5]]))
    np.testing.assert_array_equal(found_b, np.stack([b[1], b[0], a[2], b[3], a[4], b[2], b[4]]))


def test_rows_the_base_first_then_the_mean(tmp_path: Path) -> None:
    pieces = {"a": ["x", "y"], "b": ["x", "z"], "c": ["x", "z"]}
    folders = {n: model_folder(tmp_path / n, bpe(p, []), len(p), seed=i) for i, (n, p) in enumerate(pieces.items())}
    vocabularies = [read_vocabulary(n, f, len(pieces[n])) for n, f in folders.items()]
    checkpoints = [read_checkpoint(f) for f in folders.values()]
    inputs = [c.tensors["embed.weight"] for c in checkpoints]

    def row_of_z(base: str | None) -> np.ndarray:
        output = plan_vocabulary(Asked("union"), vocabularies, giver="a", base=base)
        out = np.empty(9, np.float32)
        with reading(*checkpoints) as reader_of:
            mapped(output.maps[0], inputs).open(reader_of).read_f32(0, out)  # type: ignore[union-attr]
        return out[6:]

    with reading(*checkpoints) as reader_of:
        rows = []
        for given in inputs[1:]:
            out = np.empty(3, np.float32)
            open_input(given, reader_of).read_f32(3, out)
            rows.append(out)
    np.testing.assert_array_equal(row_of_z("c"), rows[1])
    exact = (rows[0].astype(np.float64) + rows[1]) / 2
    np.testing.assert_array_equal(row_of_z(None), exact.astype(np.float32))


def test_padding_is_kept_and_the_rest_is_the_mean_row(pair: Pair) -> None:
    (a, b), output = pair.values("embed.weight"), pair.plan(Asked("a"))
    found_a, found_b = pair.rows(output)
    assert output.rows == 7
    np.testing.assert_array_equal(found_a, a)
    np.testing.assert_array_equal(found_b[5:], a[5:])  # b has no padding: that of a
    shrunk = pair.plan(Asked("b", pad_to_multiple_of=4))
    assert shrunk.rows == 8
    found_a, found_b = pair.rows(shrunk)
    np.testing.assert_array_equal(found_a[5:7], a[5:7])
    for values, found in ((a, found_a), (b, found_b)):
        np.testing.assert_allclose(found[7], values.astype(np.float64).mean(axis=0), rtol=1e-6)
    assert pair.plan(Asked("a", pad_to_multiple_of=1)).rows == 5


def test_nothing_changes_where_vocabularies_are_equal(pair: Pair) -> None:
    a = pair.vocabularies[0]
    output = plan_vocabulary(Asked(), [a, Vocabulary("c", a.ids, a.added, 7, {})], giver="a")
    inputs = [pair.inputs("embed.weight")[0]] * 2
    assert [mapped(found, inputs) for found in output.maps] == inputs


def test_single_tokens(pair: Pair) -> None:
    a, b = pair.values("embed.weight")
    tokens = (
        ("<e>", Origin(model="b", token="<new>")),
        ("x", Origin(model="b", token_id=4, force=True)),
        ("y", Origin("zero", force=True)),
        ("xy", Origin("zero")),
    )
    found_a, found_b = pair.rows(pair.plan(Asked("a", tokens)))
    np.testing.assert_array_equal(found_a[:5], np.stack([b[4], np.zeros(3), a[2], a[3], a[4]]))
    np.testing.assert_array_equal(found_b[:5], np.stack([b[4], np.zeros(3), np.zeros(3), b[3], b[4]]))


def test_what_a_request_gets_wrong_is_named_together(pair: Pair) -> None:
    tokens = (("nope", Origin(model="a")), ("x", Origin(model="z")), ("y", Origin(model="b", token="q")),
              ("xy", Origin(model="b", token_id=5)))  # fmt: skip
    with pytest.raises(IncompatibleError) as error:
        pair.plan(Asked("a", tokens))
    lines = str(error.value).splitlines()
    assert [line.split(":")[0] for line in lines] == [f"tokenizer.tokens.{t}" for t, _ in tokens]
    with pytest.raises(IncompatibleError, match=r"tokenizer\.source"):
        pair.plan(Asked("gone"))


@pytest.mark.parametrize("tensor", ["embed.weight", "bias"])
@pytest.mark.parametrize("asked", [Asked("union"), Asked("b", pad_to_multiple_of=16)])
def test_bits_do_not_depend_on_blocks(pair: Pair, tensor: str, asked: Asked) -> None:
    for found in pair.plan(asked).maps:
        given = mapped(found, pair.inputs(tensor))
        whole = pair.read(given)
        assert all(pair.read(given, block).tobytes() == whole.tobytes() for block in (1, 2, 5, 7))


def test_a_bias_in_one_row(pair: Pair) -> None:
    (a, b), output = pair.values("bias"), pair.plan(Asked("union"))
    assert pair.rows(output, "bias")[1].tolist() == [[b[0, 1], b[0, 0], a[0, 2], b[0, 3], a[0, 4], b[0, 2], b[0, 4]]]


def test_rows_say_what_they_are(pair: Pair) -> None:
    given = mapped(pair.plan(Asked("union")).maps[1], pair.inputs("embed.weight"))
    assert isinstance(given, Rows)
    assert isinstance(given, Source)
    assert given.shape == (7, WIDTH)
    assert given == mapped(pair.plan(Asked("union")).maps[1], pair.inputs("embed.weight"))
    assert given != mapped(pair.plan(Asked("a")).maps[1], pair.inputs("embed.weight"))
    assert [info.file.parent.name for info in given.stored] == ["a", "b"]
    assert json.loads(json.dumps(given.describe()))["rows"] == 7


def test_ids_of_the_configs_follow(pair: Pair) -> None:
    b, output = pair.vocabularies[1], pair.plan(Asked("union"))
    config = {
        "eos_token_id": [4, 3],
        "bos_token_id": 3,
        "pad_token_id": None,
        "hidden": 4,
        "text_config": {"eos_token_id": 4},
    }
    moved = remapped_ids(config, b, output)
    assert moved == {**config, "eos_token_id": [6, 3], "text_config": {"eos_token_id": 6}}
    assert resized({"vocab_size": 5, "text_config": {"vocab_size": 5}, "vision": {"vocab_size": 9}}, 5, 7) == {
        "vocab_size": 7, "text_config": {"vocab_size": 7}, "vision": {"vocab_size": 9}
    }  # fmt: skip


def test_stop_tokens(pair: Pair) -> None:
    folder, b = pair.folders["b"], pair.vocabularies[1]
    assert stop_tokens(folder) == ()
    assert "answers may not end" in (stop_token_note(folder, b) or "")
    (folder / "config.json").write_text('{"eos_token_id": 3}')
    assert stop_tokens(folder) == (3,)
    assert "'<new>' of b is not among" in (stop_token_note(folder, b) or "")
    (folder / "generation_config.json").write_text('{"eos_token_id": [3, 4], "temperature": 0.6}')
    assert stop_tokens(folder) == (3, 4)
    assert stop_token_note(folder, b) is None
    written = generation_file(folder, b, pair.plan(Asked("union")))["generation_config.json"]
    assert json.loads(written) == {"eos_token_id": [3, 6], "temperature": 0.6}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "must hold tokenizer.json"),
        ("[]", "a JSON list"),
        ('{"model": {"vocab": {"x": "1"}}}', "map tokens to ids"),
        ('{"model": {"vocab": {"x": 1, "y": 1}}}', "one token"),
    ],
)
def test_malformed_tokenizers(tmp_path: Path, content: str | None, words: str) -> None:
    if content is not None:
        (tmp_path / "tokenizer.json").write_text(content)
    with pytest.raises(BadInputError, match=words):
        read_vocabulary("m", tmp_path, 3)
