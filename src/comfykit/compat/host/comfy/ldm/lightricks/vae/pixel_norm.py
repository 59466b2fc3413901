"""`comfy.ldm.lightricks.vae.pixel_norm`: names of a network that comfykit does not have."""

from __future__ import annotations

from comfykit.compat.absent import classes

globals().update(classes(__name__, "PixelNorm"))
