"""ComfyUI's `latent_preview`: pictures of unfinished latents, and the callback of samplers that shows them.

Which method is used, the settings say; a pack may change `comfy.cli_args.args.preview_method`.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from comfykit.compat import devices, running
from comfykit.compat.host.comfy import utils
from comfykit.compat.host.comfy.cli_args import LatentPreviewMethod, args
from comfykit.errors import ModelFileError
from comfykit.families.tiny_vae import load_tiny_decoder
from comfykit.nodes.pictures import to_picture

MAX_PREVIEW_RESOLUTION = args.preview_size
default_preview_method = LatentPreviewMethod.Latent2RGB


def __getattr__(name: str) -> Any:
    if name == "TAESD":
        return importlib.import_module("comfykit.compat.host.comfy.taesd.taesd").TAESD
    raise AttributeError(name)


def preview_to_image(latent_image: Tensor, do_scale: bool = True) -> Image.Image:
    """A picture of colours [height, width, 3] in -1 to 1, or in 0 to 1 without `do_scale`."""
    return to_picture((latent_image + 1.0) / 2.0 if do_scale else latent_image)


class LatentPreviewer:
    """Makes a picture of a latent [batch, channels, height, width]; packs have others."""

    def decode_latent_to_preview(self, x0: Tensor) -> Image.Image:
        """A small picture of the first latent."""
        raise NotImplementedError

    def decode_latent_to_preview_image(self, preview_format: str, x0: Tensor) -> tuple[str, Image.Image, int]:
        """The picture as progress takes it: format, picture, longest side."""
        return "JPEG", self.decode_latent_to_preview(x0), MAX_PREVIEW_RESOLUTION


class TAESDPreviewerImpl(LatentPreviewer):
    """By a tiny autoencoder: an object whose `decode` gives pictures [batch, 3, height, width] in -1 to 1."""

    def __init__(self, taesd: Any) -> None:
        self.taesd = taesd

    def decode_latent_to_preview(self, x0: Tensor) -> Image.Image:
        return preview_to_image(self.taesd.decode(x0[:1])[0].movedim(0, 2))


class _TinyPreviewer(LatentPreviewer):
    """By one of our tiny decoders, whose pictures are in 0 to 1."""

    def __init__(self, network: torch.nn.Module) -> None:
        self._network = network

    def decode_latent_to_preview(self, x0: Tensor) -> Image.Image:
        picture = self._network.to(x0.device, torch.float32)(x0[:1].float())[0]
        return preview_to_image(picture.movedim(0, 2), do_scale=False)


class Latent2RGBPreviewer(LatentPreviewer):
    """By a linear map from channels to colours in -1 to 1."""

    def __init__(
        self,
        latent_rgb_factors: Any,
        latent_rgb_factors_bias: Any = None,
        latent_rgb_factors_reshape: Callable[[Tensor], Tensor] | None = None,
    ) -> None:
        self.latent_rgb_factors = torch.tensor(latent_rgb_factors, device="cpu").transpose(0, 1)
        bias = latent_rgb_factors_bias
        self.latent_rgb_factors_bias = None if bias is None else torch.tensor(bias, device="cpu")
        self.latent_rgb_factors_reshape = latent_rgb_factors_reshape

    def decode_latent_to_preview(self, x0: Tensor) -> Image.Image:
        if self.latent_rgb_factors_reshape is not None:
            x0 = self.latent_rgb_factors_reshape(x0)
        latent = x0[0, :, 0] if x0.ndim == 5 else x0[0]
        factors = self.latent_rgb_factors.to(latent)
        bias = None if self.latent_rgb_factors_bias is None else self.latent_rgb_factors_bias.to(latent)
        return preview_to_image(torch.nn.functional.linear(latent.movedim(0, -1), factors, bias))


def get_previewer(device: Any, latent_format: Any) -> LatentPreviewer | None:
    """What shows latents of a format (`comfy.latent_formats`); None where none is asked for, or fits."""
    method = args.preview_method
    if method == LatentPreviewMethod.NoPreviews:
        return None
    if method in (LatentPreviewMethod.Auto, LatentPreviewMethod.TAESD) and latent_format.taesd_decoder_name:
        tiny = _tiny(latent_format.taesd_decoder_name, int(latent_format.latent_channels))
        if tiny is not None:
            return tiny
    if latent_format.latent_rgb_factors is None:
        return None
    return Latent2RGBPreviewer(
        latent_format.latent_rgb_factors,
        latent_format.latent_rgb_factors_bias,
        getattr(latent_format, "latent_rgb_factors_reshape", None),
    )


def _tiny(decoder: str, channels: int) -> LatentPreviewer | None:
    home = running.settings().home
    for name in home.names("vae_approx"):
        if not name.rpartition("/")[2].startswith(decoder):
            continue
        try:
            network, found = load_tiny_decoder(home.find("vae_approx", name))
        except ModelFileError:
            return None
        return _TinyPreviewer(network) if found == channels else None
    return None


def prepare_callback(
    model: Any, steps: int, x0_output_dict: dict[str, Tensor] | None = None
) -> Callable[[int, Tensor, Tensor, int], None]:
    """A callback for samplers: reports steps, with previews; stops where the run is to stop.

    `x0_output_dict` gets the last prediction as "x0".
    """
    device = getattr(model, "load_device", devices.CPU)
    previewer = get_previewer(device, model.model.latent_format)
    progress = utils.ProgressBar(steps)

    def callback(step: int, x0: Tensor, x: Tensor, total_steps: int) -> None:
        if x0_output_dict is not None:
            x0_output_dict["x0"] = x0
        shown = None if previewer is None else previewer.decode_latent_to_preview_image("JPEG", x0)
        progress.update_absolute(step + 1, total_steps, shown)

    return callback
