"""`comfy.ldm.modules.diffusionmodules.model`: the autoencoder's parts by name, to compare with."""

from __future__ import annotations

from typing import Any

from comfykit.compat.absent import functions
from comfykit.compat.host.comfy.ldm.modules.attention import name_of
from comfykit.models import vae, vae_layers

ResnetBlock: Any = name_of(vae_layers.VAEResBlock, "ResnetBlock", __name__)
AttnBlock: Any = name_of(vae_layers.VAEAttention, "AttnBlock", __name__)
Encoder: Any = name_of(vae.Encoder, "Encoder", __name__)
Decoder: Any = name_of(vae.Decoder, "Decoder", __name__)
globals().update(functions(__name__, "vae_attention"))
