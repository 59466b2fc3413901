"""`comfy.supported_models`: the kinds of models by name; `of` says which one a model of ours is."""

from __future__ import annotations

from typing import Any

from comfykit.compat.host.comfy import latent_formats, supported_models_base
from comfykit.families.components import DiffusionModel
from comfykit.models.unet import UNetConfig

_FORMATS: Any = latent_formats


class SD15(supported_models_base.BASE):
    """Stable Diffusion 1.x."""

    unet_config: dict[str, Any] = {  # noqa: RUF012
        "context_dim": 768,
        "model_channels": 320,
        "use_linear_in_transformer": False,
        "adm_in_channels": None,
        "use_temporal_attention": False,
    }
    latent_format = _FORMATS.SD15
    memory_usage_factor = 1.0


class SD20(supported_models_base.BASE):
    """Stable Diffusion 2.x."""

    unet_config: dict[str, Any] = {  # noqa: RUF012
        "context_dim": 1024,
        "model_channels": 320,
        "use_linear_in_transformer": True,
        "adm_in_channels": None,
        "use_temporal_attention": False,
    }
    latent_format = _FORMATS.SD15
    memory_usage_factor = 1.0


class SD21UnclipL(SD20):
    """SD 2.1 unCLIP with CLIP-L."""


class SD21UnclipH(SD20):
    """SD 2.1 unCLIP with OpenCLIP-H."""


class SDXLRefiner(supported_models_base.BASE):
    """The SDXL refiner."""

    unet_config: dict[str, Any] = {  # noqa: RUF012
        "model_channels": 384,
        "use_linear_in_transformer": True,
        "context_dim": 1280,
        "adm_in_channels": 2560,
        "use_temporal_attention": False,
    }
    latent_format = _FORMATS.SDXL
    memory_usage_factor = 1.0


class SDXL(supported_models_base.BASE):
    """SDXL."""

    unet_config: dict[str, Any] = {  # noqa: RUF012
        "model_channels": 320,
        "use_linear_in_transformer": True,
        "transformer_depth": [0, 0, 2, 2, 10, 10],
        "context_dim": 2048,
        "adm_in_channels": 2816,
        "use_temporal_attention": False,
    }
    latent_format = _FORMATS.SDXL
    memory_usage_factor = 0.8


# Models that comfykit does not run: nothing is of these kinds.
for _name in [
    "SSD1B",
    "Segmind_Vega",
    "KOALA_700M",
    "KOALA_1B",
    "SVD_img2vid",
    "SV3D_u",
    "SV3D_p",
    "Stable_Zero123",
    "SD_X4Upscaler",
    "Stable_Cascade_C",
    "Stable_Cascade_B",
    "SD15_instructpix2pix",
    "SDXL_instructpix2pix",
    "LotusD",
    "SD3",
    "StableAudio",
    "AuraFlow",
    "PixArtAlpha",
    "PixArtSigma",
    "HunyuanDiT",
    "HunyuanDiT1",
    "Flux",
    "FluxInpaint",
    "FluxSchnell",
    "GenmoMochi",
    "LTXV",
    "HunyuanVideo",
    "HunyuanVideoI2V",
    "HunyuanVideoSkyreelsI2V",
    "CosmosT2V",
    "CosmosI2V",
    "CosmosT2IPredict2",
    "CosmosI2VPredict2",
    "Lumina2",
    "WAN21_T2V",
    "WAN21_I2V",
    "WAN21_FunControl2V",
    "WAN21_Camera",
    "WAN21_Vace",
    "WAN22_T2V",
    "Hunyuan3Dv2",
    "HiDream",
    "Chroma",
    "ChromaRadiance",
    "ACEStep",
    "Omnigen2",
    "QwenImage",
    "HunyuanImage21",
]:
    globals()[_name] = type(
        _name,
        (supported_models_base.BASE,),
        {
            "__module__": __name__,
            "__doc__": "A kind of model that comfykit does not run.",
            "matches": classmethod(lambda cls, unet_config, state_dict=None: False),
        },
    )

models = [SD15, SD20, SD21UnclipL, SD21UnclipH, SDXLRefiner, SDXL]
_BY_FAMILY = {
    "sd15": SD15,
    "sd21": SD20,
    "sd21_unclip": SD21UnclipH,
    "sdxl": SDXL,
    "sdxl_refiner": SDXLRefiner,
}


def unet_config(config: UNetConfig) -> dict[str, Any]:
    """The shape of a U-Net in ComfyUI's words."""
    found: dict[str, Any] = {
        "image_size": 32,
        "in_channels": config.in_channels,
        "out_channels": config.out_channels,
        "model_channels": config.model_channels,
        "channel_mult": list(config.channel_mult),
        "num_res_blocks": list(config.num_res_blocks),
        "transformer_depth": list(config.input_depths),
        "transformer_depth_middle": config.middle_depth,
        "transformer_depth_output": list(config.output_depths),
        "context_dim": config.context_dim,
        "adm_in_channels": config.adm_in_channels,
        "use_linear_in_transformer": config.use_linear,
        "use_spatial_transformer": True,
        "use_temporal_attention": False,
        "legacy": False,
        "dims": 2,
    }
    heads = {"num_head_channels": 64, "num_heads": -1} if config.use_linear else {"num_heads": 8}
    return {"num_head_channels": -1, **found, **heads}


def of(core: DiffusionModel) -> supported_models_base.BASE:
    """The configuration of a model of ours."""
    made = _BY_FAMILY.get(core.family.name, supported_models_base.BASE)(unet_config(core.network.config))
    made.latent_format = latent_formats.of(core.family.latent_format)
    return made
