"""`comfy.text_encoders.sd3_clip`: names of text encoders that comfykit does not have."""

from __future__ import annotations

from comfykit.compat.absent import classes

globals().update(classes(__name__, "SD3ClipModel SD3Tokenizer T5XXLModel"))
