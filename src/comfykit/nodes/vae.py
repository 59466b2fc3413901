"""Pictures to latents and back."""

from __future__ import annotations

from comfykit.engine.define import node
from comfykit.nodes.types import Context, Image, Latent, Vae


@node("VAEDecode", title="VAE Decode", category="latent")
def vae_decode(context: Context, samples: Latent, vae: Vae) -> Image:
    """Make pictures of latents."""
    return vae.decode(samples["samples"], context.residency)


@node("VAEEncode", title="VAE Encode", category="latent")
def vae_encode(context: Context, pixels: Image, vae: Vae) -> Latent:
    """Make latents of pictures; sides are cut to multiples of 8 pixels."""
    return {"samples": vae.encode(pixels, context.residency)}
