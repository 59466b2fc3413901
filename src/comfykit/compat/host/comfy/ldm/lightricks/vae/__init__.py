"""`comfy.ldm.lightricks.vae`: networks by ComfyUI's names."""
