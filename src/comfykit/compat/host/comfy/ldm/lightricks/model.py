"""`comfy.ldm.lightricks.model`: names of a network that comfykit does not have."""

from __future__ import annotations

from comfykit.compat.absent import classes, functions

globals().update(
    classes(
        __name__, "BasicTransformerBlock CrossAttention FeedForward LTXVModel TimestepEmbedding Timesteps"
    )
)
globals().update(functions(__name__, "apply_rotary_emb precompute_freqs_cis"))
