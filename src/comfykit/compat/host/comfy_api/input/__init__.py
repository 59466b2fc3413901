"""ComfyUI's `comfy_api.input`: what travels on links, to be named in annotations."""

from __future__ import annotations

from typing import Any, TypedDict

from torch import Tensor

from comfykit.compat.host.comfy_api.latest._video import VideoInput

ImageInput = Tensor
MaskInput = Tensor


class AudioInput(TypedDict):
    """AUDIO: `waveform` [batch, channels, samples]."""

    waveform: Tensor
    sample_rate: int


class LatentInput(TypedDict, total=False):
    """LATENT."""

    samples: Tensor
    noise_mask: Tensor
    batch_index: list[int]
    type: Any


__all__ = ["AudioInput", "ImageInput", "LatentInput", "MaskInput", "VideoInput"]
