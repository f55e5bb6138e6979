"""Data sets into canonical form: official files -> items, written as JSON lines with their digests, and read back.

    OUT/<data set>.<split>.jsonl    items, mode 0600; for prompts the published lines
    OUT/datasets.json               for each: digests, counts, the official files' digests, licence, credential

A folder with `datasets.json` is a prepared one: it is read without the official files, every digest checked.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from blake3 import blake3

from suture.data.catalog import PROMPTS, SOURCES, get_source
from suture.data.records import Choice, Record, digest_items, faults, read_items, write_items
from suture.data.source import Files, Found, Items, Source, find
from suture.errors import BadInputError, IntegrityError, Problem, refuse, some

INDEX = "datasets.json"


@dataclass(frozen=True, slots=True)
class Loaded:
    """One split of a data set: its items, for prompts also the file that holds them, and the digest of all of it."""

    source: Source
    split: str
    items: Items
    digest: str
    path: Path | None = None


def is_prepared(data: Path) -> bool:
    """Say whether `data` is a folder that `prepare` wrote."""
    return (data / INDEX).is_file()


def problems_of(name: str, data: Path | None) -> list[Problem]:
    """Return what keeps a data set from being evaluated, without reading it: nothing where it is there."""
    source = get_source(name)
    needs = f" Needs: {source.credential}." if source.credential else ""
    do = f"Get it from {source.url} ({source.licence}) and give its folder with --data.{needs}"
    must = f"{source.name} must be there: {source.title}."
    if data is None:
        return [Problem(must, "no --data", do=do)]
    if is_prepared(data):
        known = read_index(data).get(name, {}).get("splits", {})
        return [] if source.test in known else [Problem(must, "not among the prepared data sets", str(data), do)]
    missing = find(source, data).lacks(source.test)
    return [Problem(must, f"no {', '.join(missing)}", str(data), do)] if missing else []


def load(name: str, data: Path, split: str | None = None) -> Loaded:
    """Return one split (the evaluated one by default) of a data set, from official files or a prepared folder.

    Raises BadInputError for what is missing or malformed, IntegrityError where a prepared file was changed.
    """
    source = get_source(name)
    split = split or source.test
    if is_prepared(data):
        return _prepared(source, data, split)
    found = find(source, data)
    if missing := found.lacks(split):
        must = f"{source.name} needs its files."
        raise BadInputError(Problem(must, f"no {', '.join(missing)}", str(data), f"See {source.url}."))
    return read_split(source, found.files, split)


def read_split(source: Source, files: Files, split: str) -> Loaded:
    """Read and check one split of the official files."""
    items = source.read(files, split)
    check_items(items, source.name, references=source.kind != PROMPTS)
    if source.kind == PROMPTS:
        path = files["prompts"]
        return Loaded(source, split, items, blake3(path.read_bytes()).hexdigest(), path)
    return Loaded(source, split, items, digest_items(items))


def check_items(items: Sequence[Record] | Sequence[Choice], where: str, *, references: bool = True) -> None:
    """Raise BadInputError with the ids of repeated items, empty inputs or references, answers outside the options."""
    wrong: dict[tuple[str, str], list[str]] = {}
    seen: set[str] = set()
    for item in items:
        if item.id in seen:
            wrong.setdefault(("Ids must be unique.", "repeated"), []).append(item.id)
        seen.add(item.id)
        for must, got in faults(item):
            wrong.setdefault((must, got), []).append(item.id)
        if isinstance(item, Record) and not item.input.strip():
            wrong.setdefault(("No input may be empty.", "empty"), []).append(item.id)
        if isinstance(item, Record) and references and not item.target.strip():
            wrong.setdefault(("No reference may be empty.", "empty"), []).append(item.id)
    if not items:
        raise BadInputError(Problem("A data set must hold items.", "none", where))
    problems = [Problem(must, f"{got}: {_some(ids)}", where) for (must, got), ids in wrong.items()]
    refuse(BadInputError, problems)


def prepare(names: Sequence[str], data: Path, out: Path) -> dict[str, Any]:
    """Write every split that is there of each data set to `out`; return the index, data set -> what was written.

    What `out` held of other data sets stays. Raises BadInputError with the problems of all data sets.
    """
    loaded: dict[str, list[Loaded]] = {}
    files: dict[str, Files] = {}
    problems: list[Problem] = []
    for name in names:
        found = find(get_source(name), data)
        if missing := found.lacks(found.source.test):
            problems.append(Problem(f"{name} needs its files.", f"no {', '.join(missing)}", str(data)))
        files[name] = found.files
        for split in found.splits():
            try:
                loaded.setdefault(name, []).append(read_split(found.source, found.files, split))
            except BadInputError as error:
                problems += error.problems
    refuse(BadInputError, problems)
    return _add(loaded, files, out)


def prepare_files(source: Source, files: Files, out: Path) -> dict[str, Any]:
    """Write the splits of one data set whose files are known by role, as `prepare` does."""
    found = Found(source, files, {role: names[0] for role, names in source.files.items() if role not in files})
    return _add(
        {source.name: [read_split(source, files, split) for split in found.splits()]}, {source.name: files}, out
    )


def _add(loaded: Mapping[str, Sequence[Loaded]], files: Mapping[str, Files], out: Path) -> dict[str, Any]:
    index = read_index(out) if is_prepared(out) else {}
    out.mkdir(parents=True, exist_ok=True, mode=0o700)
    for name, parts in loaded.items():
        index[name] = _write(parts, files[name], out)
    _write_private(out / INDEX, json.dumps(index, indent=1, sort_keys=True) + "\n")
    return {name: index[name] for name in loaded}


def read_index(folder: Path) -> dict[str, Any]:
    """Return the index of a prepared folder. Raises BadInputError where it is not one."""
    try:
        return dict(json.loads((folder / INDEX).read_text(encoding="utf-8")))
    except (OSError, ValueError):
        must = f"A prepared folder must hold {INDEX}."
        raise BadInputError(Problem(must, "none that can be read", str(folder), "Run suture data prepare.")) from None


def survey(data: Path) -> dict[str, Found]:
    """Return what of every data set is below `data`, without reading it."""
    return {name: find(source, data) for name, source in SOURCES.items()}


def _prepared(source: Source, folder: Path, split: str) -> Loaded:
    entry: Mapping[str, Any] = read_index(folder).get(source.name, {}).get("splits", {}).get(split, {})
    if not entry:
        must = f"{source.name}, {split}, must be prepared."
        raise BadInputError(Problem(must, "no such entry", str(folder), "Run suture data prepare."))
    path = folder / entry["file"]
    if source.kind == PROMPTS:
        items: Items = source.read({"prompts": path}, split)
        digest = blake3(path.read_bytes()).hexdigest()
    else:
        items = read_items(path, Choice) if source.kind is Choice else read_items(path, Record)
        digest = digest_items(items)
    if digest != entry["digest"]:
        raise IntegrityError(Problem(f"Digest must be {entry['digest']}.", digest, str(path), "Prepare it again."))
    return Loaded(source, split, items, digest, path if source.kind == PROMPTS else None)


def _write(parts: Sequence[Loaded], files: Files, out: Path) -> dict[str, Any]:
    source = parts[0].source
    splits = {}
    for part in parts:
        path = out / f"{source.name}.{part.split}.jsonl"
        if part.path is not None:
            _write_private(path, part.path.read_text(encoding="utf-8"))
        else:
            write_items(path, part.items)
        splits[part.split] = {"file": path.name, "items": len(part.items), "digest": part.digest}
    official = {path.name: blake3(path.read_bytes()).hexdigest() for path in files.values() if path.is_file()}
    about = {"licence": source.licence, "credential": source.credential, "url": source.url, "note": source.note}
    return {"splits": splits, "files": official, **about}


def _write_private(path: Path, text: str) -> None:
    staging = path.with_name(path.name + ".partial")
    staging.unlink(missing_ok=True)
    with os.fdopen(os.open(staging, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    staging.replace(path)


def _some(ids: Sequence[str]) -> str:
    return f"{len(ids)} ({some(ids)})"
