"""`comfy.ldm.cosmos.predict2`: names of a network that comfykit does not have."""

from __future__ import annotations

from comfykit.compat.absent import classes, functions

globals().update(classes(__name__, "Attention MiniTrainDIT Block"))
globals().update(functions(__name__, "apply_rotary_pos_emb"))
