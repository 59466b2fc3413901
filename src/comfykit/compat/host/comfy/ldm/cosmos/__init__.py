"""`comfy.ldm.cosmos`: networks by ComfyUI's names."""
