"""ComfyUI's `comfy_api.version_list`: the versions of the interface."""

from comfykit.compat.host.comfy_api.latest import ComfyAPI

supported_versions = [ComfyAPI]
