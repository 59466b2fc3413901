"""ComfyUI's `comfy_api.input_impl`: values that nodes may make."""

from comfykit.compat.host.comfy_api.latest._video import VideoFromComponents, VideoFromFile

__all__ = ["VideoFromComponents", "VideoFromFile"]
