"""`comfy.text_encoders.flux`: names of text encoders that comfykit does not have."""

from __future__ import annotations

from comfykit.compat.absent import classes

globals().update(classes(__name__, "FluxClipModel FluxTokenizer T5XXLModel"))
