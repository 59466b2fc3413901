"""The registry of the built-in nodes."""

from __future__ import annotations

from collections.abc import Mapping

from comfykit.engine.registry import Registry
from comfykit.nodes import (
    adjustments,
    animation,
    attention_experiments,
    batches,
    clip_vision,
    colors,
    compositing,
    conditioning,
    conditioning_sdxl,
    contact_sheet,
    controlnet,
    filters,
    gligen,
    guidance,
    guiders,
    hook_conditioning,
    hooks,
    hypernetworks,
    image_folders,
    images,
    inpainting,
    json_text,
    latent_batches,
    latent_geometry,
    latent_math,
    latent_operations,
    latents,
    loaders,
    logic,
    loras,
    masks,
    merging,
    model_patches,
    model_sampling,
    model_saving,
    model_settings,
    noise,
    noising,
    primitives,
    samplers,
    sampling,
    saving,
    saving_more,
    scaling,
    schedulers,
    showing,
    sigmas,
    strings,
    style_models,
    transforms,
    unclip,
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
    clip_vision,
    unclip,
    style_models,
    gligen,
    hooks,
    hook_conditioning,
    sampling,
    guiders,
    schedulers,
    samplers,
    sigmas,
    noise,
    guidance,
    model_sampling,
    model_patches,
    attention_experiments,
    hypernetworks,
    model_settings,
    noising,
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
    adjustments,
    contact_sheet,
    colors,
    scaling,
    image_folders,
    latent_math,
    latent_batches,
    latent_geometry,
    latent_operations,
    upscaling,
    primitives,
    strings,
    json_text,
    logic,
    showing,
    animation,
    saving_more,
)


# Classes under names that belong to packs: class to pack. They are here because no core node does the same.
OF_PACKS: Mapping[str, str] = {"Image Filter Adjustments": "WAS Node Suite"}


def builtin_registry() -> Registry:
    """A new registry with every built-in node class.

    What is added later replaces a class of the same name. So a pack that a user chose goes before our own of
    `OF_PACKS`: it may be newer, and its pictures are the ones that its workflows were made with.
    """
    registry = Registry()
    for module in MODULES:
        registry.add_module(module)
    return registry
