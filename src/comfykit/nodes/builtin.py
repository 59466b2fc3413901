"""The registry of the built-in nodes."""

from __future__ import annotations

from comfykit.engine.registry import Registry
from comfykit.nodes import conditioning, images, latents, loaders, loras, merging, sampling, saving, vae

MODULES = (loaders, loras, merging, conditioning, sampling, latents, vae, images, saving)


def builtin_registry() -> Registry:
    """A new registry with every built-in node class."""
    registry = Registry()
    for module in MODULES:
        registry.add_module(module)
    return registry
