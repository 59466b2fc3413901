"""`comfy.diffusers_convert`: names of tensors in diffusers' layout, which are renamed as files are opened."""

from __future__ import annotations

from comfykit.compat.absent import functions

globals().update(
    functions(__name__, "convert_unet_state_dict convert_vae_state_dict convert_text_enc_state_dict")
)
