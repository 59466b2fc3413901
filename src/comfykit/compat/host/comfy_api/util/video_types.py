"""ComfyUI's `comfy_api.util.video_types`."""

from comfykit.compat.host.comfy_api.latest._video import VideoCodec, VideoComponents, VideoContainer

__all__ = ["VideoCodec", "VideoComponents", "VideoContainer"]
