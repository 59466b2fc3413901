"""`comfy.ldm.wan`: networks by ComfyUI's names."""
