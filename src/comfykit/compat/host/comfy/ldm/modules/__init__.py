"""`comfy.ldm.modules`: networks by ComfyUI's names."""
