"""Which files make a model folder: the shards that its index names; no pickle, no link that leads out of it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from suture.checkpoint.strict_json import StrictJsonError, parse_object, shown
from suture.errors import BadInputError, Problem

INDEX_NAME = "model.safetensors.index.json"
SINGLE_NAME = "model.safetensors"
NAME_BYTES = 255
SMALL_FILE_LIMIT = 256 << 20
"""Bytes of the largest config, index or tokenizer file that is read; the largest real ones have about 40 MB."""

NEMO_ADVICE = (
    "Convert it where you trust it, with the script of NeMo: python scripts/checkpoint_converters/"
    "convert_<family>_nemo_to_hf.py --input_name_or_path FILE.nemo --output_path FILE.bin --hf_input_path HF_FOLDER "
    "--hf_output_path FOLDER (NeMo 2: nemo.collections.llm.export_ckpt(path=..., target='hf', output_path=...)). "
    "Then save it with safe_serialization, and name that folder."
)
PICKLE_ADVICE = (
    "Pickles are never opened: they can run any code. Convert them where you trust them: "
    "from_pretrained(FOLDER).save_pretrained(NEW_FOLDER, safe_serialization=True)."
)
GGUF_ADVICE = "Name the folder of the original weights in safetensors."
_FOREIGN = (
    ("NeMo archives", ("*.nemo",), NEMO_ADVICE),
    ("a NeMo 2 checkpoint", ("weights/*.distcp", "weights/.metadata", "*.distcp"), NEMO_ADVICE),
    ("pickles", ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl", "*.pickle", "*.zip", "*.tar"), PICKLE_ADVICE),
    ("GGUF files", ("*.gguf",), GGUF_ADVICE),
)


def foreign_advice(name: str) -> str | None:
    """Return what to do with a file of another format, None where the name (`x.nemo`, `x.gguf`, `x.bin`) tells none."""
    suffix = Path(name).suffix.lower()
    return next((advice for _, patterns, advice in _FOREIGN if f"*{suffix}" in patterns), None)


def weight_files(path: Path) -> tuple[tuple[Path, ...], Mapping[str, str] | None]:
    """Return the weight files of the folder `path`, and the index (tensor -> file name) where it is sharded.

    Raises BadInputError: no safetensors (naming what is there instead), a single file beside an index, an index that
    cannot be read or that names anything but plain files of this folder.
    """
    index_file, single = path / INDEX_NAME, path / SINGLE_NAME
    if index_file.is_file() and single.is_file():
        must = f"A folder must hold {SINGLE_NAME} or {INDEX_NAME}, not both."
        raise BadInputError(Problem(must, "both", str(path), "Remove the stale one."))
    if single.is_file():
        return (inside(path, SINGLE_NAME),), None
    if not index_file.is_file():
        raise BadInputError(_nothing_to_read(path))
    index = _read_index(path)
    return tuple(inside(path, name) for name in sorted(set(index.values()))), index


def read_small(path: Path, name: str) -> bytes:
    """Return the bytes of a small file of the folder `path` (config, tokenizer, index).

    Raises BadInputError where it is a link that leads out of the folder, too large, or unreadable.
    """
    file = inside(path, name)
    try:
        with file.open("rb") as stream:
            raw = stream.read(SMALL_FILE_LIMIT + 1)
    except OSError as error:
        raise BadInputError(Problem("The file must be readable.", type(error).__name__, str(file))) from None
    if len(raw) > SMALL_FILE_LIMIT:
        raise BadInputError(Problem(f"The file must have at most {SMALL_FILE_LIMIT} bytes.", "more", str(file)))
    return raw


def inside(path: Path, name: str) -> Path:
    """Return the file `name` of the folder `path`, which must be a regular file in it.

    Links may lead within the folder and to the blobs of the hub cache that holds it, nowhere else: a link could make
    the output carry any file of this machine. Raises BadInputError.
    """
    if Path(name).name != name or "\0" in name or "\\" in name or len(name.encode()) > NAME_BYTES:
        do = "Fetch the index again; a shard lies beside it."
        raise BadInputError(Problem("A shard's name must be a plain file name.", shown(name), str(path), do))
    file = path / name
    if not file.is_file():
        raise BadInputError(
            Problem("Every shard must exist.", f"no {shown(name)}", str(path), "Fetch the missing file.")
        )
    real = file.resolve()
    if not any(real.is_relative_to(folder) for folder in _allowed(path.resolve())):
        do = "Put the file itself into the folder."
        raise BadInputError(Problem("A file must lie in its model folder.", f"a link out of it: {name}", str(path), do))
    return file


def _allowed(root: Path) -> tuple[Path, ...]:
    """The folder; for `CACHE/models--org--name/snapshots/REVISION` also the blobs of the model and of the cache."""
    model = root.parent.parent
    if root.parent.name != "snapshots" or not model.name.startswith("models--"):
        return (root,)
    return root, model / "blobs", model.parent / "blobs"


def _read_index(path: Path) -> dict[str, str]:
    where = str(path / INDEX_NAME)
    do = "Fetch the index again."
    try:
        index = parse_object(read_small(path, INDEX_NAME)).get("weight_map")
    except StrictJsonError as error:
        raise BadInputError(Problem("The index must be one JSON object.", str(error), where, do)) from None
    if not isinstance(index, dict) or not all(isinstance(name, str) for name in index.values()) or not index:
        must = "The index must hold a weight_map from tensors to files."
        raise BadInputError(Problem(must, "none", where, do))
    return index


def _nothing_to_read(path: Path) -> Problem:
    must = "A model folder must hold safetensors weights."
    for kind, patterns, advice in _FOREIGN:
        found = sorted(file.name for pattern in patterns for file in path.glob(pattern))
        if found:
            return Problem(must, f"{kind} ({', '.join(ascii(name)[1:-1] for name in found[:3])})", str(path), advice)
    if (path / "adapter_config.json").is_file():
        return Problem(must, "an adapter alone", str(path), "Join it with its base first: peft's merge_and_unload.")
    return Problem(must, "none", str(path), "Check the path.")
