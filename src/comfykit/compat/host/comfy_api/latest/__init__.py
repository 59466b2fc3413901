"""ComfyUI's `comfy_api.latest`: the newer way to write nodes, in its present form.

`io` and `ui` are modules of this package, which answers with them when they are first asked for.
"""

from __future__ import annotations

import importlib
from abc import ABC, abstractmethod
from typing import Any

from torch import Tensor

from comfykit.compat.host.comfy.utils import ProgressBar
from comfykit.compat.host.comfy_api.latest._video import (
    VideoCodec,
    VideoComponents,
    VideoContainer,
    VideoFromComponents,
    VideoFromFile,
    VideoInput,
)

# Names in capitals of modules, and modules under the names that ComfyUI's files have.
_MODULES = {"IO": "io", "UI": "ui", "_io": "io", "_ui": "ui"}


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(f"comfy_api.latest.{_MODULES[name]}")
    raise AttributeError(name)


class ComfyExtension(ABC):
    """What `comfy_entrypoint` of a pack gives."""

    async def on_load(self) -> None:  # noqa: B027  (packs need not have one)
        """Called once, before the nodes are asked for."""

    @abstractmethod
    async def get_node_list(self) -> list[Any]:
        """The node classes."""


class Input:
    """What travels on links, to be named in annotations."""

    Image = Tensor
    Audio = dict
    Mask = Tensor
    Latent = dict
    Video = VideoInput


class InputImpl:
    """Values that nodes may make."""

    VideoFromFile = VideoFromFile
    VideoFromComponents = VideoFromComponents


class Types:
    """What those are made of."""

    VideoCodec = VideoCodec
    VideoContainer = VideoContainer
    VideoComponents = VideoComponents


class _Execution:
    """Says how far a node is."""

    async def set_progress(
        self,
        value: float,
        max_value: float,
        node_id: str | None = None,
        preview_image: Any = None,
        ignore_size_limit: bool = False,
    ) -> None:
        """`value` of `max_value` is done; `preview_image` is a PIL picture or an IMAGE."""
        report_progress(value, max_value, node_id, preview_image)


class _ExecutionSync:
    """The same for code that does not await."""

    def set_progress(
        self,
        value: float,
        max_value: float,
        node_id: str | None = None,
        preview_image: Any = None,
        ignore_size_limit: bool = False,
    ) -> None:
        """`value` of `max_value` is done."""
        report_progress(value, max_value, node_id, preview_image)


def report_progress(value: float, max_value: float, node_id: str | None, preview_image: Any) -> None:
    """Report the progress of a node."""
    shown = preview_image
    if isinstance(preview_image, Tensor):
        from comfykit.nodes.pictures import to_picture

        shown = to_picture(preview_image[0] if preview_image.ndim == 4 else preview_image)
    preview = None if shown is None else ("JPEG", shown, 512)
    ProgressBar(int(max_value), node_id).update_absolute(int(value), preview=preview)


class ComfyAPI:
    """What a node may ask of the run."""

    VERSION = "latest"
    STABLE = False
    execution = _Execution()


class ComfyAPISync:
    """The same for code that does not await."""

    execution = _ExecutionSync()


ComfyAPI_latest = ComfyAPI

__all__ = ["ComfyAPI", "ComfyAPISync", "ComfyExtension", "Input", "InputImpl", "Types"]
