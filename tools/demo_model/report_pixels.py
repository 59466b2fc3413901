"""Sections of the report on networks that make pixels: the autoencoder, its preview, the upscaler."""

from __future__ import annotations

from statistics import mean

import torch
from PIL import Image

from comfykit.families.tiny_vae import load_tiny_decoder
from comfykit.nodes.images import image_scale_by
from comfykit.nodes.upscaling import image_upscale_with_model, upscale_model_loader
from comfykit.nodes.vae import vae_encode
from drawing import draw
from measure import SIDE
from report_numbers import Store, paragraph, psnr, table
from report_quality import unseen_scenes
from report_studio import Studio, parts, to_images, to_pictures

UPSCALER, PREVIEW = "demo_x2.safetensors", "demo_taesd_decoder.safetensors"
UPSCALER_BAR = 1.5  # dB above bicubic


def enlarged(studio: Studio, count: int) -> dict[str, float]:
    """PSNR in dB of pictures of 128 pixels enlarged to 256, against the same scenes drawn at 256."""
    network = upscale_model_loader(studio.context, studio.need("upscale_models", UPSCALER))
    scenes = unseen_scenes(count, "enlarged")
    ours, bicubic = [], []
    for chosen in parts(scenes):
        wanted = [draw(scene, 2 * SIDE, 2 * SIDE) for scene in chosen]
        small = to_images([draw(scene, SIDE, SIDE) for scene in chosen])
        by_network = to_pictures(image_upscale_with_model(studio.context, network, small))
        by_curve = to_pictures(image_scale_by(small, "bicubic", 2.0))
        ours += [psnr(made, right) for made, right in zip(by_network, wanted, strict=True)]
        bicubic += [psnr(made, right) for made, right in zip(by_curve, wanted, strict=True)]
    return {"network": mean(ours), "bicubic": mean(bicubic)}


def upscaler(studio: Studio, store: Store, quick: bool) -> str:
    """The upscaler against bicubic interpolation."""
    count = 8 if quick else 128
    found = store.numbers("enlarged", lambda: enlarged(studio, count))
    rows = [
        ("demo_x2", f"{found['network']:.2f} dB"),
        ("bicubic", f"{found['bicubic']:.2f} dB"),
        ("gain", f"{found['network'] - found['bicubic']:.2f} dB"),
        ("required", f"{UPSCALER_BAR:g} dB"),
    ]
    said = paragraph(
        f"""{count} scenes of combinations that were not trained on, drawn at {SIDE} pixels and enlarged to
        {2 * SIDE}, against the same drawn at that size; means of PSNR."""
    )
    return f"{said}\n\n{table(('enlarged by', 'likeness'), rows)}"


def there_and_back(studio: Studio, count: int, *, preview: bool) -> dict[str, float]:
    """PSNR in dB of pictures through the autoencoder, and of the preview's decoder against its own."""
    pictures = [draw(scene) for scene in unseen_scenes(count, "there and back")]
    likeness, previewed = [], []
    for chosen in parts(pictures):
        latent = vae_encode(studio.context, to_images(chosen), studio.vae)
        decoded = studio.decode(latent)
        likeness += [psnr(made, right) for made, right in zip(decoded, chosen, strict=True)]
        if preview:
            quick = _previews(studio, latent["samples"])
            previewed += [psnr(made, right) for made, right in zip(quick, decoded, strict=True)]
    return {"vae": mean(likeness)} | ({"preview": mean(previewed)} if preview else {})


def autoencoder(studio: Studio, store: Store, quick: bool) -> str:
    """How much the autoencoder and the decoder for previews lose."""
    count = 8 if quick else 128
    found = store.numbers("there and back", lambda: there_and_back(studio, count, preview=True))
    rows = [
        ("a picture, encoded and decoded, against itself", f"{found['vae']:.2f} dB"),
        ("a latent decoded for preview, against the full decoder", f"{found['preview']:.2f} dB"),
    ]
    said = f"{count} scenes of combinations that were not trained on; means of PSNR."
    return f"{said}\n\n{table(('compared', 'likeness'), rows)}"


@torch.inference_mode()
def _previews(studio: Studio, samples: torch.Tensor) -> list[Image.Image]:
    studio.need("vae_approx", PREVIEW)
    decoder, _ = load_tiny_decoder(studio.settings.home.find("vae_approx", PREVIEW))
    pixels = decoder.float()(studio.model.family.latent_format.to_model(samples))
    return to_pictures(pixels.movedim(1, -1))
