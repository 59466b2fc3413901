"""`comfy_extras.nodes_stable3d`: nodes of Stable Zero123 and SV3D, which comfykit does not run, by name."""

from __future__ import annotations

from comfykit.compat.absent import functions

globals().update(functions(__name__, "camera_embeddings"))
