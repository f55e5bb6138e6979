"""Texts and records -> token sequences: packed plain text, or one chat turn each of which only the answer is learnt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from suture.data.records import Record
from suture.errors import BadInputError, Problem, UsageError

IGNORED = -100


@dataclass(frozen=True, slots=True)
class Example:
    """One training sequence: token ids, of which those before index `start` are read but not learnt."""

    tokens: tuple[int, ...]
    start: int = 0


def pack(tokenizer: Any, texts: Sequence[str], length: int) -> list[Example]:
    """Join `texts`, an end-of-text token after each, and cut the stream into sequences of `length` tokens.

    A text may be cut anywhere and a sequence may hold parts of several texts; the rest shorter than `length` is left
    out. Raises BadInputError where the texts do not fill one sequence.
    """
    end = tokenizer.eos_token_id
    stream: list[int] = []
    for tokens in tokenizer(list(texts), verbose=False)["input_ids"] if texts else []:
        stream += tokens if tokens[-1:] == [end] else [*tokens, end]
    cuts = range(0, len(stream) - length + 1, length)
    if not cuts:
        raise BadInputError(Problem(f"The texts must fill one sequence of {length} tokens.", f"{len(stream)} tokens"))
    return [Example(tuple(stream[cut : cut + length])) for cut in cuts]


def converse(tokenizer: Any, records: Sequence[Record], instruction: str, length: int) -> list[Example]:
    """Turn each record into one exchange by the tokenizer's chat template; its answer and stop token are learnt.

    instruction is the user's turn, with {input} where the record's input stands. An input too long for `length` tokens
    loses its end; a target is never cut. Raises UsageError for an instruction without {input}, BadInputError for no
    records, a missing chat template, or a target that does not fit, naming the record's id.
    """
    if "{input}" not in instruction:
        raise UsageError(Problem("The instruction must say where the input stands.", "no {input} in it"))
    if not tokenizer.chat_template:
        raise BadInputError(
            Problem("The tokenizer must have a chat template.", "none", do="Start from a parent tuned on chat.")
        )
    if not records:
        raise BadInputError(Problem("There must be at least one record to learn from.", "none"))
    return [_fit(tokenizer, record, instruction, length) for record in records]


def _fit(tokenizer: Any, record: Record, instruction: str, length: int) -> Example:
    example = _exchange(tokenizer, instruction.replace("{input}", record.input), record.target)
    kept = tokenizer(record.input, add_special_tokens=False, verbose=False)["input_ids"]
    while len(example.tokens) > length:
        if not kept:
            got = f"{len(example.tokens)} tokens without its input"
            raise BadInputError(
                Problem(f"Instruction and target must fit {length} tokens.", got, record.id, "Raise the length.")
            )
        kept = kept[: max(0, len(kept) - (len(example.tokens) - length))]
        example = _exchange(tokenizer, instruction.replace("{input}", tokenizer.decode(kept)), record.target)
    return example


def _exchange(tokenizer: Any, question: str, answer: str) -> Example:
    turn = [{"role": "user", "content": question}]
    prompt = _template(tokenizer, turn, add_generation_prompt=True)
    whole = _template(tokenizer, [*turn, {"role": "assistant", "content": answer}])
    if whole[: len(prompt)] != prompt:
        raise BadInputError(
            Problem("A chat template must begin an exchange with its prompt.", "another prompt where an answer follows")
        )
    return Example(tuple(prompt + _until_stop(tokenizer, whole[len(prompt) :])), len(prompt))


def _template(tokenizer: Any, messages: list[dict[str, str]], **options: bool) -> list[int]:
    tokens: list[int] = tokenizer.apply_chat_template(messages, tokenize=True, return_dict=True, **options)["input_ids"]
    return tokens


def _until_stop(tokenizer: Any, answer: list[int]) -> list[int]:
    """Cut what a template writes after the stop token, which generation never reaches; add the token where it lacks."""
    stop = tokenizer.eos_token_id
    return answer[: len(answer) - answer[::-1].index(stop)] if stop in answer else [*answer, stop]
