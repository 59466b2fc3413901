"""ComfyUI's package `comfy_api`: the newer way to write nodes."""
