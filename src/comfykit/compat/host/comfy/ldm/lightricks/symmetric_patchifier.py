"""`comfy.ldm.lightricks.symmetric_patchifier`: names of a network that comfykit does not have."""

from __future__ import annotations

from comfykit.compat.absent import classes, functions

globals().update(classes(__name__, "SymmetricPatchifier"))
globals().update(functions(__name__, "latent_to_pixel_coords"))
