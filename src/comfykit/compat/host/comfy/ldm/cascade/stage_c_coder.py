"""`comfy.ldm.cascade.stage_c_coder`: names of a network that comfykit does not have."""

from __future__ import annotations

from comfykit.compat.absent import classes

globals().update(classes(__name__, "StageC_coder"))
