"""`comfy.ldm.genmo.joint_model.asymm_models_joint`: names of a network that comfykit does not have."""

from __future__ import annotations

from comfykit.compat.absent import classes

globals().update(classes(__name__, "AsymmDiTJoint"))
