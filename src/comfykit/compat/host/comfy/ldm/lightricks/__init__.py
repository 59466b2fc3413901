"""`comfy.ldm.lightricks`: networks by ComfyUI's names."""
