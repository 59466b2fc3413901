"""The types that travel along links, as parameter and return types of nodes.

They have ComfyUI's shapes, because custom nodes take them apart:

    IMAGE         float tensor [batch, height, width, channels], 0 to 1
    MASK          float tensor [batch, height, width], 0 to 1
    LATENT        {"samples": tensor [batch, channels, height, width], and optionally
                   "noise_mask": tensor, "batch_index": list of int}; unscaled, as the VAE gives it
    CONDITIONING  list of [embedding tensor [batch, tokens, width], options]
    MODEL, CLIP, VAE   the components of `comfykit.families`
    LATENT_OPERATION   function of latent samples [batch, channels, height, width]
    GUIDER        `families.guiders.Guider`; NOISE `sampling.latent_noise.Noise`; SAMPLER `SamplerSpec`
    SIGMAS        float tensor [steps + 1] on the CPU, descending
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, TypeAlias

from torch import Tensor

from comfykit.engine.define import Hidden, socket
from comfykit.engine.schema import Input
from comfykit.families.components import Autoencoder, DiffusionModel, TextEncoder
from comfykit.families.guiders import Guider
from comfykit.families.upscalers import Upscaler
from comfykit.nodes.context import NodeContext
from comfykit.sampling.latent_noise import Noise
from comfykit.sampling.samplers import SamplerSpec

Image: TypeAlias = Annotated[Tensor, socket("IMAGE")]
Mask: TypeAlias = Annotated[Tensor, socket("MASK")]
Latent: TypeAlias = Annotated[dict[str, Any], socket("LATENT")]
Conditioning: TypeAlias = Annotated[list[list[Any]], socket("CONDITIONING")]
Model: TypeAlias = Annotated[DiffusionModel, socket("MODEL")]
Clip: TypeAlias = Annotated[TextEncoder, socket("CLIP")]
Vae: TypeAlias = Annotated[Autoencoder, socket("VAE")]
GuiderInput: TypeAlias = Annotated[Guider, socket("GUIDER")]
NoiseInput: TypeAlias = Annotated[Noise, socket("NOISE")]
Sampler: TypeAlias = Annotated[SamplerSpec, socket("SAMPLER")]
Sigmas: TypeAlias = Annotated[Tensor, socket("SIGMAS")]
UpscaleModel: TypeAlias = Annotated[Upscaler, socket("UPSCALE_MODEL")]
LatentOperation: TypeAlias = Annotated[Callable[[Tensor], Tensor], socket("LATENT_OPERATION")]
Anything: TypeAlias = Annotated[Any, socket("*")]

Int: TypeAlias = Annotated[int, Input("INT")]
Float: TypeAlias = Annotated[float, Input("FLOAT")]
Text: TypeAlias = Annotated[str, Input("STRING")]
Boolean: TypeAlias = Annotated[bool, Input("BOOLEAN")]

Context: TypeAlias = Annotated[NodeContext, Hidden("CONTEXT")]
Prompt: TypeAlias = Annotated[dict[str, Any] | None, Hidden("PROMPT")]
ExtraPngInfo: TypeAlias = Annotated[dict[str, Any] | None, Hidden("EXTRA_PNGINFO")]
UniqueId: TypeAlias = Annotated[str, Hidden("UNIQUE_ID")]
