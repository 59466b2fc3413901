"""Tiny files of random weights in the layouts of published models, for tests that run whole workflows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from comfykit.models.clip_text import ClipText, ClipTextConfig
from comfykit.models.controlnet import ControlNet, ControlNetConfig
from comfykit.models.esrgan import RRDBNet, RRDBNetConfig
from comfykit.models.unet import UNet, UNetConfig
from comfykit.models.vae import AutoencoderKL, VAEConfig
from comfykit.text.open_clip import to_open_clip
from random_weights import CONTEXT_WIDTH, random_tensors, random_weights

BIG_G = 64  # width of the second text encoder
SIZES = 256  # of each of the numbers that SDXL is told

UNET = UNetConfig(model_channels=32, context_dim=CONTEXT_WIDTH)
SDXL_UNET = UNetConfig(
    model_channels=64,
    channel_mult=(1, 2, 2),
    num_res_blocks=(1, 1, 1),
    input_depths=(0, 1, 1),
    middle_depth=1,
    output_depths=(1, 1, 1, 1, 0, 0),
    context_dim=CONTEXT_WIDTH + BIG_G,
    adm_in_channels=BIG_G + 6 * SIZES,
    use_linear=True,
)

REFINER_UNET = UNetConfig(
    model_channels=64,
    channel_mult=(1, 2, 2, 2),
    num_res_blocks=(1, 1, 1, 1),
    input_depths=(0, 1, 1, 0),
    middle_depth=1,
    output_depths=(0, 0, 1, 1, 1, 1, 0, 0),
    context_dim=BIG_G,
    adm_in_channels=BIG_G + 5 * SIZES,
    use_linear=True,
)


def sd15() -> dict[str, Tensor]:
    return dict(random_tensors())


def sd15_inpainting() -> dict[str, Tensor]:
    """The U-Net sees a mask and the picture around the hole as well."""
    name = "model.diffusion_model.input_blocks.0.0.weight"
    return {**sd15(), name: random_weights(name, torch.Size((32, 9, 3, 3)))}


def sdxl() -> dict[str, Tensor]:
    return {
        **_of("model.diffusion_model.", lambda: UNet(SDXL_UNET)),
        **_of("first_stage_model.", lambda: AutoencoderKL(VAEConfig(ch=32))),
        **_of("conditioner.embedders.0.transformer.text_model.", lambda: ClipText(_clip(CONTEXT_WIDTH))),
        **_open_clip("conditioner.embedders.1.model."),
    }


def sdxl_refiner() -> dict[str, Tensor]:
    return {
        **_of("model.diffusion_model.", lambda: UNet(REFINER_UNET)),
        **_of("first_stage_model.", lambda: AutoencoderKL(VAEConfig(ch=32))),
        **_open_clip("conditioner.embedders.0.model."),
    }


def controlnet() -> dict[str, Tensor]:
    return _of(
        "control_model.", lambda: ControlNet(ControlNetConfig(UNET, hint_widths=(4, 4, 8, 8, 8, 8, 16)))
    )


def lora() -> dict[str, Tensor]:
    """Two layers of the U-Net and one of the text encoder, rank 2, in kohya's names."""
    layers = {
        "lora_unet_mid_block_attentions_0_transformer_blocks_0_attn1_to_q": (128, 128),
        "lora_unet_mid_block_attentions_0_transformer_blocks_0_attn2_to_k": (128, CONTEXT_WIDTH),
        "lora_te_text_model_encoder_layers_0_mlp_fc1": (2 * CONTEXT_WIDTH, CONTEXT_WIDTH),
    }
    made: dict[str, Tensor] = {}
    for name, (rows, columns) in layers.items():
        made[f"{name}.lora_up.weight"] = random_weights(f"{name}.up", torch.Size((rows, 2)))
        made[f"{name}.lora_down.weight"] = random_weights(f"{name}.down", torch.Size((2, columns)))
        made[f"{name}.alpha"] = torch.tensor(2.0)
    return made


def upscaler() -> dict[str, Tensor]:
    return _of("", lambda: RRDBNet(RRDBNetConfig(width=8, growth=4, blocks=1)))


MODELS: Mapping[str, Callable[[], dict[str, Tensor]]] = {
    "checkpoints/v1-5-pruned-emaonly.safetensors": sd15,
    "checkpoints/sd-v1-5-inpainting.ckpt": sd15_inpainting,
    "checkpoints/sd_xl_base_1.0.safetensors": sdxl,
    "checkpoints/sd_xl_refiner_1.0.safetensors": sdxl_refiner,
    "controlnet/control_v11p_sd15_canny.pth": controlnet,
    "loras/style.safetensors": lora,
    "upscale_models/RealESRGAN_x4plus.pth": upscaler,
}


def write_models(models: Path) -> None:
    """All of them below a models/ folder, under the names of the published files."""
    for name, make in MODELS.items():
        path = models / name
        path.parent.mkdir(parents=True, exist_ok=True)
        tensors = {key: value.contiguous() for key, value in make().items()}
        if path.suffix == ".safetensors":
            save_file(tensors, path)
        else:
            torch.save(tensors, path)


def _of(prefix: str, network: Callable[[], nn.Module]) -> dict[str, Tensor]:
    with torch.device("meta"):
        shapes = {name: tensor.shape for name, tensor in network().state_dict().items()}
    return {prefix + name: random_weights(prefix + name, shape) for name, shape in shapes.items()}


def _clip(width: int, projection: int | None = None) -> ClipTextConfig:
    return ClipTextConfig(width=width, heads=2, layers=2, mlp_width=2 * width, projection=projection)


def _open_clip(prefix: str) -> dict[str, Tensor]:
    """An encoder in OpenCLIP's names, whose queries, keys and values are one matrix."""
    own = _of(prefix, lambda: ClipText(_clip(BIG_G, BIG_G)))
    made = {}
    for name, stacked in to_open_clip(key.removeprefix(prefix) for key in own).items():
        tensor = torch.cat([own[prefix + part] for part in stacked.parts])
        made[prefix + name] = tensor.T if stacked.transposed else tensor
    return made
