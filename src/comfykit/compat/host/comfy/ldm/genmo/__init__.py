"""`comfy.ldm.genmo`: networks by ComfyUI's names."""
