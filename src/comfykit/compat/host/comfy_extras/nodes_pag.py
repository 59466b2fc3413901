"""`comfy_extras.nodes_pag`."""

from __future__ import annotations

from comfykit.compat.extras import classes

globals().update(classes(__name__))
