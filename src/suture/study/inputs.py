"""Finds what a study reads, models and data: what is missing is an error, or noted where a plan is drawn without it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from suture.errors import BadInputError, Problem, SutureError, UsageError


class Lookup:
    """Looks up inputs; with a list `absent` the problems of missing ones go there, and a stand-in is returned."""

    def __init__(self, absent: list[Problem] | None = None) -> None:
        self.absent = absent

    def folder(self, path: str, key: str) -> Path:
        """Return the folder that the study names under `key`; that a step finds nothing in it is the step's to say."""
        found = self._expanded(path, key)
        if self.absent is not None and found is not None and not found.is_dir():
            self.absent.append(Problem("The data's folder must exist.", str(found), key))
        return found or Path(path)

    def file(self, path: str, key: str) -> Path:
        """Return the file that the study names under `key`; that it is not there is the step's to say."""
        found = self._expanded(path, key)
        if self.absent is not None and found is not None and not found.is_file():
            self.absent.append(Problem("The data's file must exist.", str(found), key))
        return found or Path(path)

    def dataset(self, name: str, folder: Path) -> dict[str, list[int]]:
        """Return what changes when a data set below `folder` does: names, sizes and times of its files."""
        from suture.data.catalog import get_source
        from suture.data.prepare import INDEX, is_prepared, problems_of
        from suture.data.source import find

        if self.absent is not None:
            self.absent += problems_of(name, folder if folder.is_dir() else None)
        if is_prepared(folder):
            return data_files([folder / INDEX, *folder.glob(f"{name}.*")])
        return data_files(list(find(get_source(name), folder).files.values()) if folder.is_dir() else [])

    def model(self, reference: str) -> dict[str, Any]:
        """Return what changes when a model does; its path may name a variable. Raises BadInputError for none there."""
        try:
            return signature(expand(reference, "model") if "$" in reference else reference)
        except SutureError as error:
            return {"model": reference, "files": self._noted(error)}

    def prompts(self, path: str | None) -> dict[str, str]:
        """Return the file of IFEval's prompts, of one's own or packaged, and its digest."""
        from suture.evaluate.packaged import ifeval_prompts
        from suture.study.texts import digest_files

        try:
            found = Path(path) if path is not None else ifeval_prompts()
            return {"path": str(found), "digest": digest_files([found])}
        except SutureError as error:
            return {"path": "", "digest": "", **self._noted(error)}
        except OSError as error:
            missing = BadInputError(Problem("The prompts must be there.", type(error).__name__, str(path)))
            return {"path": str(path), "digest": "", **self._noted(missing)}

    def _expanded(self, path: str, key: str) -> Path | None:
        try:
            return Path(expand(path, key))
        except UsageError as error:
            self._noted(error)
            return None

    def _noted(self, error: SutureError) -> dict[str, Any]:
        if self.absent is None:
            raise error
        self.absent += error.problems
        return {}


def signature(reference: str) -> dict[str, Any]:
    """Return what changes when a model of one's own does: names, sizes and times of its files."""
    from suture.checkpoint.resolve import resolve_model

    return {"model": reference, "files": data_files(list(resolve_model(reference).iterdir()))}


def data_files(paths: Sequence[Path]) -> dict[str, list[int]]:
    """Return what changes when a file of data does: its size and time, by name, of those that are there."""
    found = [(path, path.stat()) for path in sorted(paths) if path.is_file()]
    return {path.name: [about.st_size, about.st_mtime_ns] for path, about in found}


def expand(path: str, key: str = "data.mts_dialog.path") -> str:
    """Return `path` with the variables of the environment filled in. Raises UsageError for one that is not set."""
    found = os.path.expandvars(os.path.expanduser(path))
    if "$" in found:
        advice = "Set the variable."
        if key == "data.mts_dialog.path":
            advice = "Set the variable, or give --data with the folder of MTS-Dialog's Main-Dataset."
        raise UsageError(Problem("The data's folder must be known.", path, key, advice))
    return found
