"""comfykit: ComfyUI workflows as pictures, on a machine that has nothing installed yet.

The names below are the public ones. They are loaded when they are first used, since most of them need
torch, which takes a second; `comfykit.api` documents them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from comfykit.api import (
        Conditioning,
        Context,
        Engine,
        Image,
        Latent,
        Mask,
        Result,
        Workflow,
        boolean,
        combo,
        integer,
        node,
        number,
        run,
        socket,
        text,
    )

__version__ = "0.1.0"

__all__ = [
    "Conditioning",
    "Context",
    "Engine",
    "Image",
    "Latent",
    "Mask",
    "Result",
    "Workflow",
    "__version__",
    "boolean",
    "combo",
    "integer",
    "node",
    "number",
    "run",
    "socket",
    "text",
]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from comfykit import api

    return getattr(api, name)


def __dir__() -> list[str]:
    return __all__
