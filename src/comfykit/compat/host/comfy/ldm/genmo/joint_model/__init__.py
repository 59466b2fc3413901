"""`comfy.ldm.genmo.joint_model`: networks by ComfyUI's names."""
