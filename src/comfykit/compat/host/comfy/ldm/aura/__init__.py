"""`comfy.ldm.aura`: networks by ComfyUI's names."""
