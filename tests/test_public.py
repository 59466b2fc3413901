from __future__ import annotations

import comfykit

PUBLIC = ["__version__"]


def test_public_names() -> None:
    """Whoever adds a name here promises to keep it."""
    assert comfykit.__all__ == PUBLIC
    assert all(hasattr(comfykit, name) for name in PUBLIC)
