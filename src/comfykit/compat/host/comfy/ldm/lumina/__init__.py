"""`comfy.ldm.lumina`: networks by ComfyUI's names."""
