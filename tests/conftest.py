"""Fixtures that every test may use."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def shared() -> Path:
    """Reference material beside the checkout; tests that need it are skipped where it does not lie."""
    place = Path(os.environ.get("COMFYKIT_SHARED", Path(__file__).parents[2] / "shared"))
    if not (place / "reference").is_dir():
        pytest.skip("the reference material does not lie beside this checkout (set COMFYKIT_SHARED)")
    return place
