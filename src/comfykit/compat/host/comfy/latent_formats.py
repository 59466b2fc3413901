"""`comfy.latent_formats`: how the latents of each kind of VAE look to its model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from torch import Tensor

from comfykit.compat import absent
from comfykit.families.family import LatentFormat as EngineFormat


class LatentFormat:
    """One kind of latents; `of` makes one of ours."""

    scale_factor: Any = 1.0
    shift_factor: Any = 0.0
    latent_channels = 4
    latent_dimensions = 2
    latent_rgb_factors: Any = None
    latent_rgb_factors_bias: Any = None
    latent_rgb_factors_reshape: Any = None
    taesd_decoder_name: str | None = None
    latents_mean: tuple[float, ...] = ()
    latents_std: tuple[float, ...] = ()

    def _means(self, latent: Tensor) -> tuple[Any, Any]:
        if not self.latents_mean:
            return self.shift_factor, self.scale_factor
        shape = (1, self.latent_channels, *(1,) * (latent.ndim - 2))
        mean, std = (latent.new_tensor(row).reshape(shape) for row in (self.latents_mean, self.latents_std))
        return mean, self.scale_factor / std

    def process_in(self, latent: Tensor) -> Tensor:
        """From the VAE's scale to the model's."""
        shift, scale = self._means(latent)
        scaled: Tensor = (latent - shift) * scale
        return scaled

    def process_out(self, latent: Tensor) -> Tensor:
        """From the model's scale to the VAE's."""
        shift, scale = self._means(latent)
        unscaled: Tensor = latent / scale + shift
        return unscaled


_KINDS: dict[str, dict[str, Any]] = json.loads(
    Path(__file__).with_suffix(".json").read_text(encoding="utf-8")
)
"""The kinds of ComfyUI 0.3.64 by name, with their numbers."""

globals().update(
    {
        name: type(
            name, (LatentFormat,), {"__module__": __name__, "__doc__": f"Latents of {name}.", **numbers}
        )
        for name, numbers in _KINDS.items()
    }
)

# Latents whose numbers are not known here: a name to look up tables by.
globals().update(absent.classes(__name__, "HunyuanVideo15"))


class Own(LatentFormat):
    """Latents of a model of ours that are of no kind above."""

    def __init__(self, form: EngineFormat) -> None:
        self.form = form
        self.latent_channels = form.channels
        self.scale_factor, self.shift_factor = form.scale, form.shift
        self.latent_rgb_factors = [list(row) for row in form.look.rgb] or None
        self.latent_rgb_factors_bias = list(form.look.bias) if form.look.rgb else None
        self.taesd_decoder_name = form.look.decoder

    def process_in(self, latent: Tensor) -> Tensor:
        """From the VAE's scale to the model's."""
        return self.form.to_model(latent)

    def process_out(self, latent: Tensor) -> Tensor:
        """From the model's scale to the VAE's."""
        return self.form.from_model(latent)


def of(form: EngineFormat) -> LatentFormat:
    """A form of ours as packs see it."""
    for name in ("SD15", "SDXL"):
        made: LatentFormat = globals()[name]()
        if (made.scale_factor, made.latent_channels) == (form.scale, form.channels) and form.shift == 0.0:
            return made
    return Own(form)
