"""`comfy_extras`: the node classes that ComfyUI keeps outside of `nodes`, by its modules."""
