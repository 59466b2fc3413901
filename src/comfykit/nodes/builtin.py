"""The registry of the built-in nodes."""

from __future__ import annotations

from comfykit.engine.registry import Registry
from comfykit.nodes import (
    batches,
    colors,
    compositing,
    conditioning,
    conditioning_sdxl,
    controlnet,
    filters,
    image_folders,
    images,
    inpainting,
    latent_batches,
    latent_geometry,
    latent_math,
    latent_operations,
    latents,
    loaders,
    loras,
    masks,
    merging,
    model_saving,
    sampling,
    saving,
    scaling,
    transforms,
    upscaling,
    vae,
)

MODULES = (
    loaders,
    loras,
    merging,
    model_saving,
    conditioning,
    conditioning_sdxl,
    controlnet,
    sampling,
    latents,
    vae,
    images,
    inpainting,
    saving,
    batches,
    transforms,
    compositing,
    masks,
    filters,
    colors,
    scaling,
    image_folders,
    latent_math,
    latent_batches,
    latent_geometry,
    latent_operations,
    upscaling,
)


def builtin_registry() -> Registry:
    """A new registry with every built-in node class."""
    registry = Registry()
    for module in MODULES:
        registry.add_module(module)
    return registry
