"""`comfy.ldm.lightricks.vae.causal_video_autoencoder`: names of a network that comfykit does not have."""

from __future__ import annotations

from comfykit.compat.absent import classes

globals().update(classes(__name__, "Decoder Encoder ResnetBlock3D VideoVAE"))
