"""ComfyUI's `comfyui_version`: the version whose interface packs find here."""

__version__ = "0.3.64"
