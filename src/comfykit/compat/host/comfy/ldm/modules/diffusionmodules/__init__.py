"""`comfy.ldm.modules.diffusionmodules`: networks by ComfyUI's names."""
