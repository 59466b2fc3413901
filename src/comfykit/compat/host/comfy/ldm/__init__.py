"""`comfy.ldm`: networks by ComfyUI's names."""
