"""Pictures enlarged by a network."""

from __future__ import annotations

from typing import Annotated

from comfykit.engine.define import combo, node
from comfykit.engine.schema import Listing
from comfykit.families.upscalers import load_upscaler
from comfykit.nodes.types import Context, Image, UpscaleModel


@node("UpscaleModelLoader", title="Load Upscale Model", category="loaders")
def upscale_model_loader(
    context: Context, model_name: Annotated[str, combo(Listing("models/upscale_models"))]
) -> UpscaleModel:
    """Load an upscaler from models/upscale_models: ESRGAN, Real-ESRGAN and what was trained on them."""
    return load_upscaler(context.settings.home.find("upscale_models", model_name))


@node("ImageUpscaleWithModel", title="Upscale Image (using Model)", category="image/upscaling")
def image_upscale_with_model(context: Context, upscale_model: UpscaleModel, image: Image) -> Image:
    """Enlarge pictures by the factor of an upscaler (the 4 in RealESRGAN_x4plus), in tiles of 512 pixels."""

    def progress(done: int, total: int) -> None:
        context.progress(done, total, "tile")

    return upscale_model.upscale(image, context.residency, progress)
