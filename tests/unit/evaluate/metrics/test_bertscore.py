"""BERTScore on a tiny encoder: laws, the signature, and what is refused."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path

import pytest

from suture.errors import BadInputError, MissingExtraError, UsageError
from suture.evaluate.metrics import bertscore
from suture.evaluate.metrics.bertscore import Encoder, find_encoder

pytestmark = pytest.mark.skipif(find_spec("bert_score") is None, reason="bert-score is not installed")
WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "no", "acute", "disease", "effusion", "left", "right"]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random encoder of two layers with a vocabulary of eleven words."""
    import torch
    from transformers import BertConfig, BertModel, BertTokenizerFast

    folder = tmp_path_factory.mktemp("encoder")
    BertTokenizerFast(vocab={word: i for i, word in enumerate(WORDS)}).save_pretrained(folder)
    torch.manual_seed(0)
    size = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
    BertModel(BertConfig(vocab_size=len(WORDS), max_position_embeddings=32, **size)).save_pretrained(folder)
    return folder


def test_a_text_agrees_fully_with_itself_and_less_with_others(tiny: Path) -> None:
    encoder = find_encoder(tiny, 2)
    assert encoder is not None
    same, other, empty = bertscore.scores(
        ["no acute disease", "left effusion", ""], ["no acute disease", "no disease", "no disease"], encoder
    )
    assert same == pytest.approx(100.0, abs=1e-3)
    assert other < 99.0
    assert empty == 0.0


def test_a_long_text_is_cut_at_the_encoder_s_limit(tiny: Path) -> None:
    encoder = Encoder(tiny, 1)
    assert bertscore.scores(["no acute disease " * 40], ["no acute disease " * 50], encoder)[0] == pytest.approx(
        100.0, abs=1e-3
    )


def test_the_signature_says_which_encoder_and_layer(tiny: Path) -> None:
    found = bertscore.signature(Encoder(tiny, 2))
    assert tiny.name in found
    assert "weights " in found
    assert "layer 2, no idf, not rescaled" in found


def test_the_environment_may_name_the_encoder(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert find_encoder(None) is None
    monkeypatch.setenv(bertscore.VARIABLE, str(tiny))
    assert find_encoder(None, 1) == Encoder(tiny, 1)


def test_the_layer_of_a_known_encoder_is_the_library_s(tmp_path: Path) -> None:
    folder = tmp_path / "roberta-large"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({"num_hidden_layers": 24}))
    assert find_encoder(folder) == Encoder(folder, 17)


def test_what_is_refused(tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BadInputError, match=r"no config\.json"):
        find_encoder(tmp_path)
    with pytest.raises(UsageError, match=r"1 to 2.*--encoder-layer"):
        find_encoder(tiny)
    with pytest.raises(UsageError, match="1 to 2"):
        find_encoder(tiny, 3)
    monkeypatch.setattr(bertscore, "find_spec", lambda _: None)
    with pytest.raises(MissingExtraError, match=r"pip install 'suture\[bertscore\]'"):
        find_encoder(tiny, 1)
