"""`comfy.ldm.flux`: networks by ComfyUI's names."""
