"""ComfyUI's `comfy.comfy_types`: types for those who write nodes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, TypedDict

from torch import Tensor

from comfykit.compat.host.comfy.comfy_types.node_typing import (
    IO,
    CheckLazyMixin,
    ComfyNodeABC,
    FileLocator,
    InputTypeDict,
)


class UnetApplyFunction(Protocol):
    """The network of a model as a wrapper around it sees it."""

    def __call__(self, x: Tensor, t: Tensor, **kwargs: Any) -> Tensor:
        """A prediction for x at timestep t."""
        ...


class UnetApplyConds(TypedDict):
    """What the network is conditioned on."""

    c_concat: Tensor | None
    c_crossattn: Tensor | None
    control: Tensor | None
    transformer_options: dict[str, Any] | None


class UnetParams(TypedDict):
    """What a wrapper gets: one call of the network."""

    input: Tensor
    timestep: Tensor
    c: UnetApplyConds
    cond_or_uncond: list[int]


UnetWrapperFunction = Callable[[UnetApplyFunction, UnetParams], Tensor]

__all__ = [
    "IO",
    "CheckLazyMixin",
    "ComfyNodeABC",
    "FileLocator",
    "InputTypeDict",
    "UnetApplyConds",
    "UnetApplyFunction",
    "UnetParams",
    "UnetWrapperFunction",
]
