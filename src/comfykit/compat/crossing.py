"""What becomes of MODEL, CLIP, VAE and their like where they go from our nodes to a pack's and back.

Packs take such objects apart, so they get them in ComfyUI's shapes; our nodes get the values of `families`.
`border` says which is which. It is imported when something crosses, since it imports the whole engine.
"""

from __future__ import annotations

from typing import Any

_PLAIN = (str, int, float, bool, type(None))


def to_pack(value: Any) -> Any:
    """A value of the engine as packs see it."""
    if isinstance(value, _PLAIN):
        return value
    from comfykit.compat import border

    return border.to_pack(value)


def to_engine(value: Any) -> Any:
    """A pack's value as our nodes take it."""
    if isinstance(value, _PLAIN):
        return value
    from comfykit.compat import border

    return border.to_engine(value)
