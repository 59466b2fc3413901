"""`comfy.ldm.hunyuan_video`: networks by ComfyUI's names."""
