"""The models of the compatibility tests, and Suture run beside them."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from inputs import write_models


@pytest.fixture(scope="session")
def compat_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("compat")
    write_models(folder)
    return folder
