"""`comfy.sdxl_clip`: the text encoders of SDXL and of its refiner."""

from __future__ import annotations

from comfykit.compat.host.comfy.sd1_clip import SD1ClipModel, SD1Tokenizer, SDClipModel, SDTokenizer


class SDXLClipG(SDClipModel):
    """OpenCLIP-bigG."""


class SDXLClipGTokenizer(SDTokenizer):
    """Its tokenizer."""


class SDXLTokenizer(SD1Tokenizer):
    """Both tokenizers."""


class SDXLClipModel(SD1ClipModel):
    """CLIP-L and OpenCLIP-bigG."""


class SDXLRefinerClipModel(SD1ClipModel):
    """OpenCLIP-bigG alone."""


class StableCascadeClipModel(SD1ClipModel):
    """That of Stable Cascade, which comfykit does not run."""
