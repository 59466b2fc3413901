"""`comfy.ldm.models`: networks by ComfyUI's names."""
