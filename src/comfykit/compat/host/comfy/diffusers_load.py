"""`comfy.diffusers_load`: models in folders, as diffusers saves them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from comfykit.compat import crossing
from comfykit.families import diffusers_folder


def load_diffusers(
    model_path: str, output_vae: bool = True, output_clip: bool = True, embedding_directory: Any = None
) -> tuple[Any, Any, Any]:
    """Open the parts of a model."""
    found = diffusers_folder.load_diffusers(Path(model_path))
    parts = (found.model, found.clip if output_clip else None, found.vae if output_vae else None)
    model, clip, vae = (crossing.to_pack(part) for part in parts)
    return model, clip, vae
