"""Pictures of unfinished latents, made cheaply: by a tiny decoder, or by a linear map to colours."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TypeAlias

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from comfykit.families.family import LatentFormat
from comfykit.families.looks import RGB
from comfykit.families.tiny_vae import load_tiny_decoder
from comfykit.home import Home
from comfykit.models.taesd import DOWNSCALE

Previewer: TypeAlias = Callable[[Tensor, int], Tensor]
"""A latent [channels, h, w] in the model's scale to a picture [height, width, 3] in 0 to 1, on the CPU.

No side of the picture is longer than the number of pixels that is given, or than it takes to show anything.
"""


@dataclass(frozen=True, slots=True)
class LinearPreview:
    """A pixel for each place of the latent: `channels @ rgb + bias`."""

    rgb: tuple[RGB, ...]
    bias: RGB

    def __call__(self, latent: Tensor, side: int) -> Tensor:
        """The picture; see `Previewer`."""
        places = _shrunk(latent, side).movedim(0, -1).float().cpu()
        return (places @ torch.tensor(self.rgb) + torch.tensor(self.bias)).clamp(0.0, 1.0)


class TinyPreview:
    """A tiny decoder, in float32 on the device of the latents.

    It is not placed by `Residency`, which might unload the network that is sampling to make room for it:
    its weights are 5 MB, and what it computes with follows from the size that is asked for.
    """

    def __init__(self, network: nn.Module) -> None:
        self._network = network

    def __call__(self, latent: Tensor, side: int) -> Tensor:
        """The picture; see `Previewer`."""
        # Decoding costs as much as the picture is large: a smaller latent shows the same, coarser.
        small = _shrunk(latent, side // DOWNSCALE)
        network = self._network.to(latent.device, torch.float32)
        picture: Tensor = network(small[None].float())[0]
        return picture.movedim(0, -1).clamp(0.0, 1.0).cpu()


def find_previewer(form: LatentFormat, home: Home, method: str) -> Previewer | None:
    """What shows latents of a form: `taesd`, `latent2rgb`, or with `auto` the better one that there is.

    None where nothing fits. Raises `ModelFileError` where the decoder's file cannot be used.
    """
    look = form.look
    if method in ("auto", "taesd") and look.decoder is not None:
        names = home.names("vae_approx")
        found = next((name for name in names if PurePosixPath(name).name.startswith(look.decoder)), None)
        if found is not None:
            network, channels = load_tiny_decoder(home.find("vae_approx", found))
            if channels == form.channels:
                return TinyPreview(network)
    if method in ("auto", "latent2rgb") and len(look.rgb) == form.channels:
        return LinearPreview(look.rgb, look.bias)
    return None


def _shrunk(latent: Tensor, side: int) -> Tensor:
    """A latent [channels, h, w] no side of which is longer than `side` places; means of what was there."""
    height, width = latent.shape[1:]
    longest = max(height, width)
    if longest <= side:
        return latent
    size = [max(1, round(length * side / longest)) for length in (height, width)]
    return F.interpolate(latent[None], size=size, mode="area")[0]
