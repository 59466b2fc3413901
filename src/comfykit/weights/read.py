"""Opens weights files, mapped into memory: a tensor costs page faults when it is used and nothing before."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from comfykit.errors import ModelFileError
from comfykit.weights.header import read_header
from comfykit.weights.magic import Magic, refuse, sniff

# Before 2.10 a hostile file could get out of weights_only=True (CVE-2025-32434, CVE-2026-24747).
SAFE_TORCH = (2, 10)

# Training code puts the tensors below one of these; the averaged ones come first.
_NESTS = ("state_dict", "params_ema", "params", "model_state_dict", "module", "model", "string_to_param")

# Names that promise a safetensors file, as opposed to those that promise a pickle.
_SAFETENSORS_SUFFIXES = frozenset({".safetensors", ".sft"})


@dataclass(frozen=True, slots=True)
class WeightsFile:
    """An open weights file.

    `tensors` are views of the file's bytes: to write to one does not reach the file, but costs a copy of
    what is written. `metadata` is what a safetensors file says about itself, empty for others.
    """

    path: Path
    tensors: dict[str, Tensor]
    metadata: Mapping[str, str]

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of every tensor by name."""
        return {name: tuple(tensor.shape) for name, tensor in self.tensors.items()}


def open_weights(path: Path) -> WeightsFile:
    """Map the weights file at `path`; what it is, its first bytes decide, not its name.

    A pickle is opened only where it needs nothing but tensors (`weights_only=True`), and never under a
    name that promises safetensors. Raises `ModelFileError` that says what is wrong.
    """
    magic = sniff(path)
    # Tensors made in inference mode could never be used outside it.
    with torch.inference_mode(False):
        if magic not in ("zip", "pickle"):
            return _open_safetensors(path)
        if path.suffix.lower() in _SAFETENSORS_SUFFIXES:
            raise refuse(path, magic)
        return WeightsFile(path, _tensors_of(path, _unpickle(path, magic)), {})


def open_pickle(path: Path) -> dict[object, object]:
    """The mapping in a file that PyTorch pickled, for kinds of files that say more than tensors by name.

    Opened as `open_weights` opens pickles. Raises `ModelFileError` for other files too.
    """
    magic = sniff(path)
    content: object = None
    if magic in ("zip", "pickle"):
        with torch.inference_mode(False):
            content = _unpickle(path, magic)
    if isinstance(content, dict):
        return content
    raise ModelFileError(f"{path}: it is no file in which PyTorch saved a mapping", path=str(path))


def take(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The tensors whose names begin with `prefix`, under what follows it."""
    return {name[len(prefix) :]: tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def _open_safetensors(path: Path) -> WeightsFile:
    header = read_header(path)
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in header.tensors}
    except (SafetensorError, OSError) as error:
        raise ModelFileError(f"{path} cannot be mapped: {error}", path=str(path)) from error
    return WeightsFile(path, tensors, header.metadata)


def _unpickle(path: Path, magic: Magic) -> object:
    version = tuple(int(part) for part in torch.__version__.split(".")[:2])
    if version < SAFE_TORCH:
        raise ModelFileError(
            f"{path}: it is a pickle, and PyTorch {torch.__version__} does not open those safely",
            hint="update PyTorch to 2.10 or newer, or use the safetensors file of the same model",
            path=str(path),
        )
    try:
        # Only the zip format, PyTorch's since 1.6, can be mapped.
        return torch.load(path, map_location="cpu", weights_only=True, mmap=magic == "zip")
    except pickle.UnpicklingError as error:
        raise ModelFileError(
            f"{path}: it is a pickle that holds more than tensors, and opening it could run any code",
            hint="use the safetensors file of the same model",
            path=str(path),
        ) from error
    except (RuntimeError, EOFError, OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelFileError(
            f"{path}: it is cut off or broken ({str(error)[:100]})",
            hint="delete it and fetch it again",
            path=str(path),
        ) from error


def _tensors_of(path: Path, content: object) -> dict[str, Tensor]:
    """The tensors of an unpickled file, out of the mapping that training code wrapped them in."""
    for _ in range(len(_NESTS)):  # a hostile mapping may hold itself
        if not isinstance(content, dict):
            break
        inner = next((content[name] for name in _NESTS if isinstance(content.get(name), dict)), None)
        if inner is None:
            tensors = {str(name): value for name, value in content.items() if isinstance(value, Tensor)}
            if tensors:
                return tensors
            break
        content = inner
    raise ModelFileError(
        f"{path}: no tensors by name in it", hint="it is no file of model weights", path=str(path)
    )
