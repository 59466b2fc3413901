"""Tiny autoencoders, which lie in two files: encoder and decoder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor, nn

from comfykit.errors import ModelFileError
from comfykit.families.components import Autoencoder
from comfykit.models.taesd import TAESD, TAESDConfig, tiny_decoder
from comfykit.weights.load import build
from comfykit.weights.read import open_weights

# The first and the last layer of an encoder, whose shapes tell the widths.
_FIRST, _LAST = "0.weight", "14.weight"
_FIRST_OF_DECODER = "1.weight"


@dataclass(frozen=True, slots=True)
class TinyVAE:
    """A tiny autoencoder by the name that workflows call it by: its files, and its models' scale."""

    name: str
    scale: float

    @property
    def encoder(self) -> str:
        """Name of the encoder's file, without a suffix."""
        return f"{self.name}_encoder"

    @property
    def decoder(self) -> str:
        """Name of the decoder's file, without a suffix."""
        return f"{self.name}_decoder"


TINY_VAES: Mapping[str, TinyVAE] = {
    tiny.name: tiny for tiny in (TinyVAE("taesd", 0.18215), TinyVAE("taesdxl", 0.13025))
}


def load_tiny_vae(encoder: Path, decoder: Path, scale: float) -> Autoencoder:
    """Open a tiny autoencoder for models of a scale; its weights stay in the files until they are used.

    Raises `ModelFileError` where a file holds something else.
    """
    down, up = open_weights(encoder).tensors, open_weights(decoder).tensors
    if _FIRST not in down or _LAST not in down:
        raise ModelFileError(
            f"{encoder} holds no encoder of a tiny VAE",
            hint="take taesd_encoder and taesd_decoder of madebyollin/taesd",
            path=str(encoder),
        )
    config = TAESDConfig(down[_FIRST].shape[0], down[_LAST].shape[0], scale)
    tensors = _below("encoder.", down) | _below("decoder.", up)
    return Autoencoder(build(lambda: TAESD(config), tensors, what=f"{encoder.name} with {decoder.name}"))


def load_tiny_decoder(path: Path) -> tuple[nn.Sequential, int]:
    """Open the decoder alone, for latents in the model's scale, and say how many channels those have.

    Raises `ModelFileError` where the file holds something else.
    """
    tensors = open_weights(path).tensors
    first = tensors.get(_FIRST_OF_DECODER)
    if first is None or first.ndim != 4:
        raise ModelFileError(
            f"{path} holds no decoder of a tiny VAE",
            hint="take taesd_decoder or taesdxl_decoder of madebyollin, or delete the file",
            path=str(path),
        )
    width, channels = first.shape[:2]
    return build(lambda: tiny_decoder(width, channels), tensors, what=path.name), channels


def _below(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {prefix + name: tensor for name, tensor in tensors.items()}
