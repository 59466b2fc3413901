"""`comfy.ldm.models.autoencoder`: our autoencoder by name, to compare with."""

from __future__ import annotations

from typing import Any

from comfykit.compat.absent import classes
from comfykit.compat.host.comfy.ldm.modules.attention import name_of
from comfykit.models import vae

AutoencoderKL: Any = name_of(vae.AutoencoderKL, "AutoencoderKL", __name__)
globals().update(classes(__name__, "AutoencodingEngine"))
