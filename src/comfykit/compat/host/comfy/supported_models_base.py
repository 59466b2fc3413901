"""`comfy.supported_models_base`: what a kind of model is told apart by."""

from __future__ import annotations

from typing import Any

import torch


class ClipTarget:
    """The tokenizer and the text encoder of a kind of model."""

    def __init__(self, tokenizer: Any, clip: Any) -> None:
        self.tokenizer, self.clip = tokenizer, clip
        self.params: dict[str, Any] = {}


class BASE:
    """A kind of model. Attributes of the network's shape are in `unet_config`."""

    unet_config: dict[str, Any] = {}  # noqa: RUF012  (packs read and merge these dicts on the class)
    unet_extra_config: dict[str, Any] = {}  # noqa: RUF012
    required_keys: dict[str, Any] = {}  # noqa: RUF012
    sampling_settings: dict[str, Any] = {}  # noqa: RUF012
    clip_prefix: list[str] = []  # noqa: RUF012
    text_encoder_key_prefix = ("text_encoders.",)
    vae_key_prefix = ("first_stage_model.",)
    latent_format: Any = None
    memory_usage_factor = 2.0
    manual_cast_dtype: torch.dtype | None = None
    custom_operations: Any = None
    scaled_fp8: Any = None
    optimizations: dict[str, Any] = {"fp8": False}  # noqa: RUF012

    def __init__(self, unet_config: dict[str, Any]) -> None:
        self.unet_config = dict(unet_config)
        self.sampling_settings = dict(self.sampling_settings)

    @classmethod
    def matches(cls, unet_config: dict[str, Any], state_dict: Any = None) -> bool:
        """Whether a configuration is of this kind."""
        return all(
            name in unet_config and unet_config[name] == value for name, value in cls.unet_config.items()
        )

    def inpaint_model(self) -> bool:
        """Whether the network is shown a masked picture."""
        return int(self.unet_config.get("in_channels") or 0) > 4

    def set_inference_dtype(self, dtype: torch.dtype, manual_cast_dtype: torch.dtype | None) -> None:
        """Note types."""
        self.unet_config["dtype"] = dtype
        self.manual_cast_dtype = manual_cast_dtype
