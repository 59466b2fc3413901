"""`comfy.ldm.cascade`: networks by ComfyUI's names."""
