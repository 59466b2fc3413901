"""Names of ComfyUI's networks that comfykit does not have.

Packs import such classes to ask whether a model is made of them, or to change them should it be. Nothing is
an instance of one here, and to make one raises an error that is counted as missing.
"""

from __future__ import annotations

from typing import Any

from torch import nn

from comfykit.compat.modules import MissingAttribute, lacking


class Absent(nn.Module):
    """Base of all of them."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__()
        kind = type(self)
        raise MissingAttribute(str(lacking(_public(kind.__module__), f"{kind.__qualname__}(...)")))

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Never called: there are no instances."""
        raise NotImplementedError


def classes(module: str, names: str, base: type = Absent) -> dict[str, type]:
    """Classes of a host module by name."""
    told = {"__module__": module, "__doc__": "A network that comfykit does not have."}
    return {name: type(name, (base,), dict(told)) for name in names.split()}


def functions(module: str, names: str) -> dict[str, Any]:
    """Functions of a host module by name, which belong to networks that comfykit does not have."""

    def made(name: str) -> Any:
        def refuse(*args: Any, **kwargs: Any) -> Any:
            raise MissingAttribute(str(lacking(_public(module), f"{name}(...)")))

        refuse.__name__ = name
        return refuse

    return {name: made(name) for name in names.split()}


def _public(module: str) -> str:
    return module.removeprefix("comfykit.compat.host.")
