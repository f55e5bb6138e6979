"""Fixtures that every test may use: a pair of tiny models of one family, and where real data lies."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import hypothesis
import pytest

from suture.testing.tiny import tiny_model

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("HF_DATASETS_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("SUTURE_CACHE", tempfile.mkdtemp(prefix="suture-cache-"))

# A loop is compiled when it is first called, which may take longer than all other examples together.
hypothesis.settings.register_profile("compiled", deadline=None)
hypothesis.settings.load_profile("compiled")


@pytest.fixture(scope="session")
def tiny_pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two random models that merge: the first has a chat template, the second has none."""
    folder = tmp_path_factory.mktemp("models")
    return tiny_model(folder / "general", seed=1), tiny_model(folder / "clinical", seed=2, chat_template=False)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data; tests that need it skip where it is not there."""
    folder = Path(os.environ.get("SUTURE_DATA", Path(__file__).parents[2] / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"real data is not here: set SUTURE_DATA to its folder (looked at {folder})")
    return folder
