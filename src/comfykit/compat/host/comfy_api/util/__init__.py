"""ComfyUI's `comfy_api.util`: what videos are made of."""

from comfykit.compat.host.comfy_api.latest._video import VideoCodec, VideoComponents, VideoContainer

__all__ = ["VideoCodec", "VideoComponents", "VideoContainer"]
