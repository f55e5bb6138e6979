"""Makes cases.py importable, and runs a test that takes `method` for every registered one."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from suture.methods.registry import METHODS, Method

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(params=list(METHODS))
def method(request: pytest.FixtureRequest) -> Method:
    return METHODS[request.param]
