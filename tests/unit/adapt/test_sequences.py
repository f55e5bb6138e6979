from pathlib import Path
from typing import Any

import pytest

from suture.adapt.sequences import Example, converse, pack
from suture.data.records import Record
from suture.errors import BadInputError, UsageError
from suture.testing.tiny import tiny_model


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(tiny_model(tmp_path_factory.mktemp("tiny") / "model"))


def record(text: str = "No fever.", target: str = "Afebrile.") -> Record:
    return Record("r1", "made", "e1", "s", text, target, "train", "none")


def test_an_exchange_is_the_chat_template_up_to_the_stop_token(tokenizer: Any) -> None:
    (example,) = converse(tokenizer, [record()], "Summarise: {input}", 256)
    assert tokenizer.decode(example.tokens[: example.start]) == (
        "<|im_start|>user\nSummarise: No fever.<|im_end|>\n<|im_start|>assistant\n"
    )
    assert tokenizer.decode(example.tokens[example.start :]) == "Afebrile.<|im_end|>"


def test_braces_in_a_text_are_left_alone(tokenizer: Any) -> None:
    (example,) = converse(tokenizer, [record("a {b} {input}")], "{input}", 256)
    assert "user\na {b} {input}<|im_end|>" in tokenizer.decode(example.tokens)


def test_a_template_without_stop_token_gets_one(tokenizer: Any) -> None:
    import copy

    bare = copy.deepcopy(tokenizer)
    bare.chat_template = "{% for m in messages %}{{ m['content'] + '\n' }}{% endfor %}"
    (example,) = converse(bare, [record()], "{input}", 256)
    assert tokenizer.decode(example.tokens[example.start :]) == "Afebrile.\n<|im_end|>"


def test_a_long_input_loses_its_end_and_the_target_nothing(tokenizer: Any) -> None:
    (example,) = converse(tokenizer, [record("cough " * 200)], "Summarise: {input}", 64)
    assert len(example.tokens) <= 64
    assert tokenizer.decode(example.tokens).startswith("<|im_start|>user\nSummarise: cough cough")
    assert tokenizer.decode(example.tokens[example.start :]) == "Afebrile.<|im_end|>"


def test_a_target_that_does_not_fit_is_refused_by_id_without_its_text(tokenizer: Any) -> None:
    with pytest.raises(BadInputError, match="r1") as caught:
        converse(tokenizer, [record(target="cough " * 200)], "{input}", 64)
    assert "cough" not in str(caught.value)


def test_what_cannot_be_learnt_from_is_refused(tokenizer: Any, tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    with pytest.raises(UsageError, match="input"):
        converse(tokenizer, [record()], "Summarise.", 64)
    with pytest.raises(BadInputError, match="at least one record"):
        converse(tokenizer, [], "{input}", 64)
    plain = AutoTokenizer.from_pretrained(tiny_model(tmp_path / "plain", chat_template=False))
    with pytest.raises(BadInputError, match="chat template"):
        converse(plain, [record()], "{input}", 64)


def test_packing_joins_texts_with_stop_tokens_and_leaves_the_rest(tokenizer: Any) -> None:
    stream = [*tokenizer("No fever.")["input_ids"], 2, *tokenizer("No chest pain.")["input_ids"], 2]
    examples = pack(tokenizer, ["No fever.", "No chest pain."], 4)
    assert examples == [Example(tuple(stream[at : at + 4])) for at in range(0, len(stream) - 3, 4)]


def test_texts_too_short_for_one_sequence_are_refused(tokenizer: Any) -> None:
    for texts in ([], ["No fever."]):
        with pytest.raises(BadInputError, match="fill one sequence"):
            pack(tokenizer, texts, 512)
