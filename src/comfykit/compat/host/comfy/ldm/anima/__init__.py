"""`comfy.ldm.anima`: networks by ComfyUI's names."""
