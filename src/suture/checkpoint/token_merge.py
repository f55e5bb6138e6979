"""Models of a merge -> the same models on one vocabulary: rows mapped, untrained rows replaced, files that follow.

This is what a plan calls. It reads tokenizers, and of the weights only the rows of special tokens.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from suture.checkpoint.chat import JINJA, chat_template_of
from suture.checkpoint.digest import TOKENIZER_FILES
from suture.checkpoint.folder import read_small
from suture.checkpoint.source import Input, ReaderOf
from suture.checkpoint.strict_json import parse_object
from suture.checkpoint.token_plan import OutputVocabulary, Request, plan_vocabulary
from suture.checkpoint.token_rows import mapped, vocabulary_axis
from suture.checkpoint.tokenizer_files import (
    STALE,
    generation_file,
    json_bytes,
    remapped_ids,
    resized,
    stop_token_note,
    union_files,
)
from suture.checkpoint.untrained import UntrainedRow, find_untrained, summaries, with_trained_rows
from suture.checkpoint.vocabulary import (
    SETTINGS_NAME,
    TOKENIZER_NAME,
    Vocabulary,
    read_vocabulary,
    require_same,
)
from suture.errors import IncompatibleError, Problem


@dataclass(frozen=True)
class TokenModel:
    """A model as far as its tokens go."""

    name: str
    folder: Path
    tensors: Mapping[str, Input]


@dataclass(frozen=True)
class OneVocabulary:
    """The models' tensors on the output's vocabulary, in their order, and what follows from it.

    output: None where the vocabularies could not be read and nothing was asked of them. untrained: rows that another
    model gives. notes: what to tell.
    """

    tensors: tuple[Mapping[str, Input], ...]
    vocabularies: tuple[Vocabulary, ...]
    output: OutputVocabulary | None
    untrained: tuple[UntrainedRow, ...]
    notes: tuple[str, ...]

    def config(self, config: Mapping[str, Any], donor: str) -> dict[str, Any]:
        """The donor's config.json with the output's number of rows and ids."""
        if self.output is None:
            return dict(config)
        vocabulary = self._of(donor)
        return resized(remapped_ids(config, vocabulary, self.output), vocabulary.rows, self.output.rows)

    def files(self, donor: str, folders: Mapping[str, Path]) -> tuple[dict[str, bytes], tuple[str, ...]]:
        """Return (files, names to drop): what replaces the donor's tokenizer files and generation config, and which of
        its files hold another vocabulary. Nothing where the donor's tokenizer stays as it is. The donor's chat template
        is kept.
        """
        output = self.output
        if output is None or (not output.new and output.giver.name == donor):
            return {}, ()
        folder = folders[output.giver.name]
        found = {n: read_small(folder, n) for n in TOKENIZER_FILES if (folder / n).is_file()}
        dropped = tuple(name for name in TOKENIZER_FILES if name not in found)
        if output.new:
            found = {name: raw for name, raw in found.items() if name not in STALE} | union_files(output, folders)
            dropped = (*dropped, *(name for name in STALE if name not in dropped))
        found |= _with_template(found, chat_template_of(folders[donor]))
        found |= generation_file(folders[donor], self._of(donor), output)
        return found, tuple(name for name in dropped if name not in found)

    def _of(self, name: str) -> Vocabulary:
        return next(vocabulary for vocabulary in self.vocabularies if vocabulary.name == name)


def one_vocabulary(
    request: Request,
    models: Sequence[TokenModel],
    names: Iterable[str],
    reader_of: ReaderOf,
    *,
    donor: str,
    base: str | None = None,
) -> OneVocabulary:
    """Bring the `models` of a merge to one vocabulary.

    names: their vocabulary-indexed tensors (embedding, head, biases), as the architecture tells them. donor: the model
    whose tokenizer stays where nothing is asked, and whose trained rows are preferred. base: the base of the merge,
    from which a union starts and whose rows come first where a model lacks one.

    Raises IncompatibleError where vocabularies differ and nothing is asked, or what is asked cannot be; BadInputError
    for tokenizers that cannot be read.
    """
    listed = [name for name in names if any(name in model.tensors for model in models)]
    asked = request.source is not None or bool(request.tokens) or request.pad_to_multiple_of is not None
    unread = [model.name for model in models if not (model.folder / TOKENIZER_NAME).is_file()]
    if not listed or (unread and not asked):
        notes = (f"without {TOKENIZER_NAME} the vocabulary is not checked: {', '.join(unread)}",) if unread else ()
        return OneVocabulary(tuple(m.tensors for m in models), (), None, (), notes)
    vocabularies = tuple(read_vocabulary(m.name, m.folder, _rows(m, listed)) for m in models)
    if request.source is None:
        require_same(vocabularies)
    output = plan_vocabulary(request, vocabularies, giver=base or donor, base=base)
    replaced: list[dict[str, Input]] = [{} for _ in models]
    untrained: list[UntrainedRow] = []
    for name in listed:
        if not all(name in model.tensors for model in models):
            continue  # that a tensor is missing is the plan's to say
        inputs = [model.tensors[name] for model in models]
        found = find_untrained(name, inputs, vocabularies, output, reader_of, donor=donor, ancestor=base)
        maps = with_trained_rows(output.maps, vocabularies, found)
        untrained += found
        for tensors, row_map in zip(replaced, maps, strict=True):
            tensors[name] = mapped(row_map, inputs)
    stop = stop_token_note(next(m.folder for m in models if m.name == donor), _named(vocabularies, donor))
    return OneVocabulary(
        tuple(
            MappingProxyType({name: own.get(name, given) for name, given in model.tensors.items()})
            for model, own in zip(models, replaced, strict=True)
        ),
        vocabularies,
        output,
        tuple(untrained),
        (*output.notes, *summaries(untrained), *((stop,) if stop else ())),
    )


def _named(vocabularies: Sequence[Vocabulary], name: str) -> Vocabulary:
    return next(vocabulary for vocabulary in vocabularies if vocabulary.name == name)


def _rows(model: TokenModel, names: Sequence[str]) -> int:
    """How many rows the vocabulary-indexed tensors of a model have. Raises IncompatibleError where they disagree."""
    counts = {
        name: model.tensors[name].shape[vocabulary_axis(model.tensors[name])] for name in names if name in model.tensors
    }
    if len(set(counts.values())) > 1:
        got = ", ".join(f"{count} in {name}" for name, count in counts.items())
        must = "The tensors of one vocabulary must have one number of rows."
        raise IncompatibleError(Problem(must, got, model.name))
    return next(iter(counts.values()), 0)


def _with_template(files: Mapping[str, bytes], template: str | None) -> dict[str, bytes]:
    """The donor's chat template instead of the one that came with the tokenizer; that stays where he has none."""
    if template is None:
        return {}
    found = {JINJA: template.encode()}
    if SETTINGS_NAME in files:
        settings = parse_object(files[SETTINGS_NAME], constants=True)
        settings.pop("chat_template", None)
        settings.pop("auto_map", None)
        found[SETTINGS_NAME] = json_bytes(settings)
    return found
