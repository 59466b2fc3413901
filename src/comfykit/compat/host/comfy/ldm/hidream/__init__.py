"""`comfy.ldm.hidream`: networks by ComfyUI's names."""
