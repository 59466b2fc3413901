"""ComfyUI's `comfy.checkpoint_pickle`: pickles in which only what tensors need is looked up."""

from __future__ import annotations

import pickle
from typing import Any

load = pickle.load


class Empty:
    """Stands for a class of a training framework."""


class Unpickler(pickle.Unpickler):
    """Gives `Empty` for classes of pytorch_lightning; refuses all but those that tensors need."""

    def find_class(self, module: str, name: str) -> Any:
        package = module.partition(".")[0]
        if package == "pytorch_lightning":
            return Empty
        if package not in ("torch", "collections", "numpy"):
            raise pickle.UnpicklingError(f"{module}.{name} is not looked up: it could run any code")
        return super().find_class(module, name)
