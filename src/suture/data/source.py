"""What a data set is: where it is published, under which licence, which files it has, how they become items."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from suture.data.records import Choice, Record
from suture.errors import BadInputError, Problem

Items = Sequence[Record] | Sequence[Choice]
Files = Mapping[str, Path]


@dataclass(frozen=True, slots=True)
class Hub:
    """Where the Hugging Face hub has a data set: its id, a revision, and the file of each role as a glob."""

    name: str
    files: Mapping[str, str]
    revision: str = "main"


@dataclass(frozen=True, slots=True)
class Source:
    """One published data set.

    files: role -> names under which the file is published, a glob each; folders: where below the data folder they may
    stand, tried in order. splits: split -> roles that it needs ("a|b": one of them); the first split is the one that is
    evaluated. read takes (files by role, split). kind is the canonical form;
    "prompts" means that the published JSON lines are it.
    credential is empty for open data. note: what a reader of a score must know.
    """

    name: str
    title: str
    kind: type[Record] | type[Choice] | str
    licence: str
    url: str
    files: Mapping[str, Sequence[str]]
    splits: Mapping[str, Sequence[str]]
    read: Callable[[Files, str], Items]
    folders: Sequence[str] = ()
    credential: str = ""
    hub: Hub | None = None
    note: str = ""

    @property
    def test(self) -> str:
        """The split that is evaluated."""
        return next(iter(self.splits))


@dataclass(frozen=True, slots=True)
class Found:
    """The files of a source below one folder: those there by role, and the published names of those that are not."""

    source: Source
    files: Files = field(default_factory=dict)
    missing: Mapping[str, str] = field(default_factory=dict)

    def splits(self) -> list[str]:
        """Return the splits whose files are all there."""
        return [split for split in self.source.splits if not self.lacks(split)]

    def lacks(self, split: str) -> list[str]:
        """Return the published names of the files that `split` needs and that are not there."""
        lacking = [role for role in self.source.splits[split] if not any(r in self.files for r in role.split("|"))]
        return [self.missing[role.split("|")[0]] for role in lacking]


def find(source: Source, data: Path) -> Found:
    """Look for the files of `source` below `data`: in `data`, in a folder of its name, and in its published layout.

    Raises BadInputError where a role matches several files of one folder.
    """
    places = [data / part for part in (source.name, *source.folders, ".")]
    files: dict[str, Path] = {}
    missing: dict[str, str] = {}
    for role, names in source.files.items():
        for place, name in ((place, name) for place in places for name in names):
            matches = sorted(place.glob(name)) if place.is_dir() else []
            if len(matches) > 1:
                must = f"One file {name} must stand in the folder."
                raise BadInputError(Problem(must, f"{len(matches)} files", str(place), "Move the others away."))
            if matches:
                files[role] = matches[0]
                break
        else:
            missing[role] = names[0]
    return Found(source, files, missing)
