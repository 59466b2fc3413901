"""ComfyUI's modules by their names: `host/comfy/utils.py` is what a pack gets for `import comfy.utils`."""
