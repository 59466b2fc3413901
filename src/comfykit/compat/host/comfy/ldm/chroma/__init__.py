"""`comfy.ldm.chroma`: networks by ComfyUI's names."""
