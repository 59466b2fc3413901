"""Detection by names and shapes alone: handmade tables always, those of published files where they lie."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from comfykit.errors import ModelFileError
from comfykit.models.unet import UNet, UNetConfig
from comfykit.models.vae import AutoencoderKL, VAEConfig
from comfykit.weights.detect import Detected, TextPart, UNetPart, VAEPart, detect, require
from comfykit.weights.layouts import Shapes

SD15 = UNetConfig(model_channels=32, context_dim=24)
SD21 = UNetConfig(model_channels=64, context_dim=48, use_linear=True)
SDXL = UNetConfig(
    model_channels=64,
    channel_mult=(1, 2, 4),
    num_res_blocks=(2, 2, 2),
    input_depths=(0, 0, 2, 2, 10, 10),
    middle_depth=10,
    output_depths=(10, 10, 10, 2, 2, 2, 0, 0, 0),
    context_dim=24,
    adm_in_channels=100,
    use_linear=True,
)
REFINER = UNetConfig(
    model_channels=96,
    input_depths=(0, 0, 4, 4, 4, 4, 0, 0),
    middle_depth=4,
    output_depths=(0, 0, 0, 4, 4, 4, 4, 4, 4, 0, 0, 0),
    context_dim=48,
    adm_in_channels=90,
    use_linear=True,
)
VAE = VAEConfig(ch=32)

CLIP = {"embeddings.token_embedding.weight": (99, 24), "encoder.layers.0.layer_norm1.weight": (24,)}
OPEN_CLIP = {"token_embedding.weight": (99, 48), "transformer.resblocks.0.ln_1.weight": (48,)}


def shapes_of(network: type[UNet] | type[AutoencoderKL], config: object, prefix: str) -> Shapes:
    with torch.device("meta"):
        tensors = network(config).state_dict()  # type: ignore[arg-type]
    return {prefix + name: tuple(tensor.shape) for name, tensor in tensors.items()}


def checkpoint(config: UNetConfig, *text: tuple[str, Shapes]) -> Shapes:
    encoders = {prefix + name: shape for prefix, names in text for name, shape in names.items()}
    unet = shapes_of(UNet, config, "model.diffusion_model.")
    return unet | encoders | shapes_of(AutoencoderKL, VAE, "first_stage_model.")


CHECKPOINTS = {
    "sd15": (SD15, (("cond_stage_model.transformer.text_model.", CLIP),)),
    "sd15 without text_model": (SD15, (("cond_stage_model.transformer.", CLIP),)),
    "sd15 for inpainting": (
        UNetConfig(in_channels=9, model_channels=32),
        (("cond_stage_model.transformer.", CLIP),),
    ),
    "sd21": (SD21, (("cond_stage_model.model.", OPEN_CLIP),)),
    "sdxl": (
        SDXL,
        (
            ("conditioner.embedders.0.transformer.text_model.", CLIP),
            ("conditioner.embedders.1.model.", OPEN_CLIP),
        ),
    ),
    "sdxl_refiner": (REFINER, (("conditioner.embedders.0.model.", OPEN_CLIP),)),
}


@pytest.mark.parametrize("name", CHECKPOINTS)
def test_checkpoints_are_described(name: str) -> None:
    config, text = CHECKPOINTS[name]
    leftovers = {"model_ema.decay": (), "betas": (1000,), "cond_stage_model.logit_scale": ()}
    expected = Detected(
        "checkpoint",
        name.split(maxsplit=1)[0],
        UNetPart("model.diffusion_model.", config),
        VAEPart("first_stage_model.", VAE),
        tuple(TextPart(prefix, "clip" if layout is CLIP else "open_clip") for prefix, layout in text),
    )
    assert detect({**leftovers, **checkpoint(config, *text)}) == expected


@pytest.mark.parametrize("prefix", ["", "model.diffusion_model."])
@pytest.mark.parametrize(
    ("config", "family"), [(SD15, "sd15"), (SD21, "sd21"), (SDXL, "sdxl"), (REFINER, "sdxl_refiner")]
)
def test_a_bare_diffusion_model_has_a_family(config: UNetConfig, family: str, prefix: str) -> None:
    found = detect(shapes_of(UNet, config, prefix))
    assert found == Detected("diffusion_model", family, UNetPart(prefix, config))


@pytest.mark.parametrize("prefix", ["", "first_stage_model."])
@pytest.mark.parametrize("config", [VAE, VAEConfig(ch=64, ch_mult=(1, 2), z_channels=16, embed_dim=None)])
def test_a_bare_vae_is_described(config: VAEConfig, prefix: str) -> None:
    found = detect(shapes_of(AutoencoderKL, config, prefix))
    assert found == Detected("vae", "vae", vae=VAEPart(prefix, config))


OTHERS = {
    "lora": "lora_unet_down_blocks_0_attentions_0_proj_in.lora_down.weight",
    "lora of a transformer": "diffusion_model.blocks.0.cross_attn.k.lora_A.weight",
    "controlnet": "control_model.input_blocks.0.0.weight",
    "controlnet of diffusers": "controlnet_cond_embedding.conv_in.weight",
    "upscaler": "model.1.sub.0.RDB1.conv1.0.weight",
    "embedding": "emb_params",
    "vae_approx": "3.conv.0.weight",
    "clip_vision": "vision_model.embeddings.class_embedding",
    "text_encoder": "text_model.embeddings.token_embedding.weight",
}


@pytest.mark.parametrize("name", OTHERS)
def test_other_files_are_named_with_their_place(name: str) -> None:
    found = detect({OTHERS[name]: (3, 3)})
    assert found.kind == name.split(maxsplit=1)[0]
    with pytest.raises(ModelFileError, match="not a checkpoint") as caught:
        require(found, "checkpoint")
    assert caught.value.hint is not None
    assert caught.value.hint.startswith("it belongs in models/")


def test_a_lora_among_checkpoints_is_told_where_it_belongs() -> None:
    with pytest.raises(ModelFileError, match=r"^this is a LoRA, not a checkpoint$") as caught:
        require(detect({OTHERS["lora"]: (4, 320)}), "checkpoint")
    assert caught.value.hint == "it belongs in models/loras and is loaded by LoraLoader"


def test_a_wanted_kind_passes() -> None:
    require(detect({OTHERS["lora"]: (4, 320)}), "checkpoint", "lora")


def test_an_unknown_layout_names_its_tensors() -> None:
    with pytest.raises(ModelFileError, match=r"no known model: bert\.a, bert\.b, bert\.c, bert\.d$"):
        detect({f"bert.{letter}": (1,) for letter in "abcdef"})


def test_an_empty_file_is_unknown() -> None:
    with pytest.raises(ModelFileError, match="none at all"):
        detect({})


def test_a_damaged_unet_names_what_it_misses() -> None:
    shapes = dict(checkpoint(SD15))
    del shapes["model.diffusion_model.input_blocks.0.0.weight"]
    with pytest.raises(ModelFileError, match=r"no tensor input_blocks\.0\.0\.weight"):
        detect(shapes)


def test_a_unet_of_uneven_widths_is_unknown() -> None:
    shapes = dict(checkpoint(SD15))
    shapes["model.diffusion_model.input_blocks.4.0.out_layers.3.weight"] = (50, 50, 3, 3)
    with pytest.raises(ModelFileError, match="50 channels wide, no multiple of 32"):
        detect(shapes)


def test_a_huge_number_in_a_name_is_not_counted_up_to() -> None:
    with pytest.raises(ModelFileError):
        detect({"model.diffusion_model.input_blocks.99999999999.0.op.weight": (1, 1, 1, 1)})


FAMILIES = {
    "sd15": "sd15",
    "sd15_inpaint": "sd15",
    "tiny_sd15": "sd15",
    "tiny_sd15_b": "sd15",
    "tiny_sd15_inpaint": "sd15",
    "tiny_sd15_ip2p": "sd15",
    "sd21": "sd21",
    "tiny_sd21": "sd21",
    "tiny_sd21_v": "sd21",
    "tiny_sd21_unclip": "sd21_unclip",
    "sdxl": "sdxl",
    "tiny_sdxl": "sdxl",
    "tiny_sdxl_v": "sdxl",
    "sdxl_refiner": "sdxl_refiner",
    "tiny_sdxl_refiner": "sdxl_refiner",
    "tiny_sd3_full": "sd3",
    "tiny_flux_dev": "flux",
    "tiny_qwen_image": "qwen_image",
    "tiny_wan21_t2v": "wan",
    "tiny_cascade_b": "stable_cascade_b",
    "tiny_cascade_c": "stable_cascade_c",
    "tiny_vae": "vae",
    "tiny_vae16": "vae",
    "tiny_wan_vae": "vae",
    "taesd_encoder": "vae_approx",
    "taesd_decoder": "vae_approx",
    "tiny_sd15_lora": "lora",
    "tiny_sdxl_lora": "lora",
    "tiny_sd15_loha": "lora",
    "tiny_sd15_lokr": "lora",
    "tiny_sd15_dora": "lora",
    "tiny_sd15_controlnet": "controlnet",
    "tiny_sd15_control_lora": "controlnet",
    "tiny_esrgan_x4": "upscaler",
    "tiny_esrgan_old_x4": "upscaler",
    "tiny_embedding_sd15": "embedding",
    "tiny_clip_vision": "clip_vision",
    "tiny_clip_l": "text_encoder",
    "tiny_clip_g": "text_encoder",
    "tiny_t5xxl": "text_encoder",
    "tiny_qwen25_vl": "text_encoder",
}


@pytest.mark.parametrize("name", FAMILIES)
def test_published_layouts(shared: Path, name: str) -> None:
    table = json.loads((shared / "synth" / "families" / f"{name}.json").read_text())
    shapes = {name: tuple(shape) for name, shape in table.items() if isinstance(shape, list)}
    found = detect(shapes)
    assert found.family == FAMILIES[name]
    # What is described is the whole network: the same tensors, of the same shapes.
    for part, network in ((found.unet, UNet), (found.vae, AutoencoderKL)):
        if part is not None:
            own = {name: shape for name, shape in shapes.items() if name.startswith(part.prefix)}
            assert shapes_of(network, part.config, part.prefix) == own
