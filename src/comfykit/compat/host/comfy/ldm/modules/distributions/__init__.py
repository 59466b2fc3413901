"""`comfy.ldm.modules.distributions`: networks by ComfyUI's names."""
