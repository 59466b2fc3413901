"""ComfyUI's `comfy_api.input.video_types`."""

from comfykit.compat.host.comfy_api.latest._video import VideoInput

__all__ = ["VideoInput"]
