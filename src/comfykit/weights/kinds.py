"""What sort of file weights are, by names of tensors: a checkpoint, a LoRA, an upscaler, ..."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

Kind = Literal[
    "checkpoint",
    "diffusion_model",
    "vae",
    "vae_approx",
    "text_encoder",
    "clip_vision",
    "lora",
    "controlnet",
    "upscaler",
    "embedding",
    "gligen",
    "style_model",
]


@dataclass(frozen=True, slots=True)
class Belongs:
    """How a kind of file is called, the folder below `models/` it lies in, and what loads it."""

    called: str
    folder: str
    loader: str


BELONGS: Mapping[Kind, Belongs] = {
    "checkpoint": Belongs("a checkpoint", "checkpoints", "CheckpointLoaderSimple"),
    "diffusion_model": Belongs(
        "a diffusion model without text encoder and VAE", "diffusion_models", "UNETLoader"
    ),
    "vae": Belongs("a VAE", "vae", "VAELoader"),
    "vae_approx": Belongs("a small approximate VAE", "vae_approx", "VAELoader"),
    "text_encoder": Belongs("a text encoder", "text_encoders", "CLIPLoader"),
    "clip_vision": Belongs("a CLIP vision model", "clip_vision", "CLIPVisionLoader"),
    "lora": Belongs("a LoRA", "loras", "LoraLoader"),
    "controlnet": Belongs("a ControlNet", "controlnet", "ControlNetLoader"),
    "upscaler": Belongs("an upscaler", "upscale_models", "UpscaleModelLoader"),
    "gligen": Belongs("a GLIGEN model", "gligen", "GLIGENLoader"),
    "style_model": Belongs("a style model", "style_models", "StyleModelLoader"),
    "embedding": Belongs("a textual inversion embedding", "embeddings", "a prompt that says embedding:NAME"),
}

# Names that only files of a kind have. The first kind with a name that matches decides: a control LoRA is
# a ControlNet, and a checkpoint's own encoders do not make it a text encoder.
_SIGNS: Mapping[Kind, str] = {
    "gligen": r"(.+\.)?position_net\.|.+\.fuser\.",
    "style_model": r"style_embedding$|redux_up\.",
    "controlnet": (
        r"lora_controlnet$|control_model\.|controlnet_|input_hint_block\."
        r"|(adapter\.)?body\.0\.(in_conv|block1|resnets)\."
    ),
    "lora": (
        r".*\.(lora_(up|down|A|B|magnitude_vector)\b|hada_w1_a$|lokr_w[12]|lora\.(up|down)\.)"
        r"|lora_(unet|te)\d?_"
    ),
    "checkpoint": r"(cond_stage_model|conditioner|first_stage_model|text_encoders)\.",
    "diffusion_model": (
        r"model\.diffusion_model\.|input_blocks\.0\.0\.weight$|(double|joint|single)_blocks\.0\."
        r"|transformer_blocks\.0\.(attn|img_mod)\.|blocks\.0\.(self_attn|cross_attn)\."
    ),
    "vae": r"(encoder|decoder)\.(conv_in|conv1|down\.0|up\.0|downsamples\.0|middle\.0)\.",
    "vae_approx": r"(decoder_layers|encoder_layers)\.\d+\.|\d+\.conv\.0\.weight$|taesd_",
    "upscaler": r"conv_first\.|model\.1\.sub\.\d+\.|body\.0\.(rdb1|weight)\b|layers\.0\.residual_group\.",
    "embedding": r"(emb_params|string_to_param|\*|clip_[lgh])$",
    "clip_vision": r"vision_model\.|visual\.(transformer|conv1)\b",
    "text_encoder": (
        r"text_model\.|transformer\.resblocks\.|encoder\.(block|layers)\.0\.|model\.embed_tokens\."
    ),
}


def kind_of(names: Iterable[str]) -> Kind | None:
    """The kind of a file that holds tensors of these names; None for one that was never met."""
    listed = list(names)
    return next((kind for kind, sign in _SIGNS.items() if any(re.match(sign, name) for name in listed)), None)
