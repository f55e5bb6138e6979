"""Models of different vocabularies brought to one: the output loads, keeps padding, chat template and stop tokens."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from safetensors.numpy import save_file

from suture.checkpoint.donor import donor_files
from suture.checkpoint.header import Checkpoint, read_checkpoint
from suture.checkpoint.opened import read_whole, reading
from suture.checkpoint.source import ReaderOf
from suture.checkpoint.token_merge import OneVocabulary, TokenModel, one_vocabulary
from suture.checkpoint.vocabulary import read_vocabulary
from suture.errors import IncompatibleError
from suture.testing.tiny import CHAT_TEMPLATE, tiny_model

NAMES = ("model.embed_tokens.weight", "lm_head.weight")


@dataclass(frozen=True)
class Asked:
    source: str | None = None
    tokens: tuple[Any, ...] = ()
    pad_to_multiple_of: int | None = None


class Family:
    """general: with a chat template, 64 rows of padding. clinical: two tokens of its own, no padding, no template."""

    def __init__(self, folder: Path) -> None:
        general = tiny_model(folder / "general", seed=1)
        clinical = tiny_model(folder / "clinical", seed=2, chat_template=False)
        self.tokens = json.loads((general / "config.json").read_text())["vocab_size"]
        self.resize(general, self.tokens + 64, ())
        self.resize(clinical, self.tokens + 2, ("<|note|>", "<|end_note|>"))
        (general / "generation_config.json").write_text('{"eos_token_id": [2, 0]}')
        self.folders = {"general": general, "clinical": clinical}
        self.checkpoints: dict[str, Checkpoint] = {n: read_checkpoint(f) for n, f in self.folders.items()}

    def resize(self, folder: Path, rows: int, tokens: tuple[str, ...]) -> None:
        model = transformers.AutoModelForCausalLM.from_pretrained(folder)
        tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
        tokenizer.add_special_tokens({"additional_special_tokens": list(tokens)})
        model.resize_token_embeddings(rows, mean_resizing=False)
        shutil.rmtree(folder)
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)

    def models(self) -> list[TokenModel]:
        return [TokenModel(n, self.folders[n], c.tensors) for n, c in self.checkpoints.items()]

    def one(self, asked: Asked, **options: Any) -> OneVocabulary:
        with reading(*self.checkpoints.values()) as reader_of:
            return one_vocabulary(asked, self.models(), NAMES, reader_of, donor="general", **options)

    def write(self, one: OneVocabulary, out: Path) -> Path:
        """The mean of both, with the files of the output."""

        def mean(name: str, reader_of: ReaderOf) -> np.ndarray:
            left, right = (read_whole(tensors[name], reader_of) for tensors in one.tensors)
            return np.asarray((left + right) / 2)

        out.mkdir()
        with reading(*self.checkpoints.values()) as reader_of:
            save_file({n: mean(n, reader_of) for n in one.tensors[0]}, out / "model.safetensors", {"format": "pt"})
        files = donor_files(self.folders["general"], one.config(self.checkpoints["general"].config, "general"), None)
        more, dropped = one.files("general", self.folders)
        for name, content in {**files, **more}.items():
            if name not in dropped:
                (out / name).write_bytes(content)
        return out


@pytest.fixture(scope="module")
def family(tmp_path_factory: pytest.TempPathFactory) -> Family:
    return Family(tmp_path_factory.mktemp("family"))


def checked(out: Path) -> tuple[Any, Any]:
    model, told = transformers.AutoModelForCausalLM.from_pretrained(out, output_loading_info=True)
    assert {key: found for key, found in told.items() if found} == {}
    tokenizer = transformers.AutoTokenizer.from_pretrained(out)
    with torch.no_grad():
        assert torch.isfinite(model(torch.tensor([tokenizer("No fever.")["input_ids"]])).logits).all()
    return model, tokenizer


def test_a_union_loads_and_keeps_padding_template_and_stops(family: Family, tmp_path: Path) -> None:
    one = family.one(Asked("union"))
    model, tokenizer = checked(family.write(one, tmp_path / "out"))
    assert model.config.vocab_size == model.get_input_embeddings().weight.shape[0] == family.tokens + 64
    assert tokenizer.convert_tokens_to_ids(["<|note|>", "<|end_note|>"]) == [family.tokens, family.tokens + 1]
    assert tokenizer.chat_template == CHAT_TEMPLATE
    assert model.generation_config.eos_token_id == [2, 0]
    assert tokenizer.eos_token == "<|im_end|>"
    with reading(*family.checkpoints.values()) as reader_of:
        clinical = read_whole(family.checkpoints["clinical"].tensors[NAMES[0]], reader_of)
    embedded = model.get_input_embeddings().weight.detach().numpy()
    np.testing.assert_array_equal(embedded[family.tokens : family.tokens + 2], clinical[-2:])


def test_a_chosen_vocabulary_with_the_donors_template(family: Family, tmp_path: Path) -> None:
    out = family.write(family.one(Asked("clinical")), tmp_path / "out")
    model, tokenizer = checked(out)
    assert model.config.vocab_size == family.tokens + 2
    assert tokenizer.get_vocab() == dict(read_vocabulary("c", family.folders["clinical"], family.tokens + 2).ids)
    assert tokenizer.chat_template == CHAT_TEMPLATE
    assert model.generation_config.eos_token_id == [2, 0]


def test_another_padding(family: Family, tmp_path: Path) -> None:
    model, _ = checked(family.write(family.one(Asked("union", pad_to_multiple_of=128)), tmp_path / "out"))
    assert model.config.vocab_size % 128 == 0
    assert 0 <= model.config.vocab_size - family.tokens - 2 < 128


def test_different_vocabularies_are_refused_where_nothing_is_asked(family: Family) -> None:
    with pytest.raises(IncompatibleError, match=r"2 other tokens \(0 of them at another id\): '<\|note\|>'"):
        family.one(Asked())


def test_a_base_starts_the_union(family: Family) -> None:
    one = family.one(Asked("union"), base="clinical")
    assert one.output is not None
    assert (one.output.giver.name, one.output.rows, one.output.new) == ("clinical", family.tokens + 2, ())


def test_models_without_tokenizers_are_left_alone(family: Family, tmp_path: Path) -> None:
    folders = {}
    for name, folder in family.folders.items():
        folders[name] = shutil.copytree(folder, tmp_path / name, ignore=shutil.ignore_patterns("tokenizer*"))
    models = [TokenModel(n, f, family.checkpoints[n].tensors) for n, f in folders.items()]
    with reading(*family.checkpoints.values()) as reader_of:
        one = one_vocabulary(Asked(), models, NAMES, reader_of, donor="general")
    assert one.tensors == tuple(model.tensors for model in models)
    assert one.files("general", folders) == ({}, ())
    assert "general, clinical" in one.notes[0]
