"""ComfyUI's engine as packs see it."""
