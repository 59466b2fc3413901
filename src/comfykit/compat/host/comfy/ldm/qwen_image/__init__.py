"""`comfy.ldm.qwen_image`: networks by ComfyUI's names."""
