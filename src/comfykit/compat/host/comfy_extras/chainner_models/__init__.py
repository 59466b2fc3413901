"""`comfy_extras.chainner_models`: upscalers from files."""
