"""Textual inversions: files of a few vectors that stand for a word.

"An Image is Worth One Word" (Gal et al. 2022). Nobody agreed on a layout:

    {"emb_params": [n, width]}                              one tensor, safetensors
    {"clip_l": [n, 768], "clip_g": [n, 1280]}               one tensor per encoder (SDXL)
    {"string_to_param": {"*": [n, width]}, ...}             a pickle of the A1111 web UI
    {"<token>": [width] or [n, width]}                      diffusers
"""

from __future__ import annotations

import pickle
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from comfykit.errors import ModelFileError
from comfykit.events import Reporter, Warned, silent
from comfykit.home import WEIGHT_SUFFIXES, Home

SUFFIXES = (".safetensors", ".pt", ".bin")

# What `torch.load` was seen to raise for damaged files.
BROKEN_PICKLE = (
    pickle.UnpicklingError,
    struct.error,
    AttributeError,
    EOFError,
    LookupError,
    RuntimeError,
    TypeError,
    ValueError,
)


@dataclass(frozen=True, slots=True)
class EmbeddingFolder:
    """Finds the textual inversions of a home for an encoder of a given width.

    `slot` is the encoder's name in files that serve several: `clip_l`, `clip_g`.
    """

    home: Home
    width: int
    slot: str = "clip_l"
    reporter: Reporter = silent

    def __call__(self, name: str) -> Tensor | None:
        """Vectors [n, width] of `name`, suffix or not; None, and a warning, where they are no use."""
        try:
            return read_embedding(self._find(name), self.width, self.slot)
        except ModelFileError as error:
            self.reporter(Warned(f"embedding:{name} is ignored: {error}", error.hint))
            return None

    def _find(self, name: str) -> Path:
        """Raises `ModelFileError` where there is none."""
        given = Path(name).suffix.lower() in WEIGHT_SUFFIXES
        candidates = [name] if given else [name + suffix for suffix in SUFFIXES]
        # A prompt may hold anything: its names are compared with those of the files there are, not opened.
        known = set(self.home.names("embeddings"))
        for candidate in candidates:
            if candidate in known:
                return self.home.find("embeddings", candidate)
        raise self.home.missing("embeddings", candidates[0])


def read_embedding(path: Path, width: int, slot: str = "clip_l") -> Tensor:
    """Vectors [n, width] of a textual-inversion file, as stored.

    Raises `ModelFileError` where the file cannot be read, holds no vectors or some of another width.
    """
    vectors = _vectors(_load(path), slot)
    if vectors is None:
        raise ModelFileError(f"{path} holds no textual inversion", file=str(path))
    vectors = vectors[None] if vectors.ndim == 1 else vectors
    if vectors.ndim != 2 or vectors.shape[1] != width:
        shape = "x".join(map(str, vectors.shape)) or "1"
        raise ModelFileError(
            f"{path} holds {shape} values, this model takes vectors of {width}",
            hint="use a textual inversion that was trained for this kind of model",
            file=str(path),
        )
    return vectors


def _vectors(content: object, slot: str) -> Tensor | None:
    """The tensor of a file's content that holds the vectors."""
    if isinstance(content, Mapping) and "string_to_param" in content:
        content = content["string_to_param"]
    if isinstance(content, Tensor):
        return content
    if not isinstance(content, Mapping):
        return None
    tensors = {name: value for name, value in content.items() if isinstance(value, Tensor)}
    known = (tensors[name] for name in (slot, "emb_params") if name in tensors)
    return next(known, next(iter(tensors.values()), None))


def _load(path: Path) -> object:
    """What a file holds: tensors by name, or what a pickle that is safe to load made of them."""
    try:
        if path.suffix.lower() in (".safetensors", ".sft"):
            return load_file(path)
        return torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, SafetensorError) as error:
        raise ModelFileError(f"{path} cannot be read: {error}", file=str(path)) from error
    except BROKEN_PICKLE as error:
        raise ModelFileError(
            f"{path} is broken, or a pickle that is not safe to load",
            hint="look for the same textual inversion as a .safetensors file",
            file=str(path),
        ) from error
