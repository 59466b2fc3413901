"""ComfyUI's `comfy_api.input_impl.video_types`."""

from comfykit.compat.host.comfy_api.latest._video import VideoFromComponents, VideoFromFile

__all__ = ["VideoFromComponents", "VideoFromFile"]
