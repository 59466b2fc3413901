"""Where reference material lies."""

from __future__ import annotations

import os
from pathlib import Path


def place_of_shared() -> Path:
    """The folder beside the checkout, or what COMFYKIT_SHARED says; it need not be there."""
    return Path(os.environ.get("COMFYKIT_SHARED", Path(__file__).parents[2] / "shared"))
