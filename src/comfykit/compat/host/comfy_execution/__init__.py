"""ComfyUI's package `comfy_execution`: graphs as nodes see them while a workflow runs."""
