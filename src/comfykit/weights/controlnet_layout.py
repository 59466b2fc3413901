"""Files of ControlNets: which layout they have, and their tensors under the names of `models.controlnet`.

Layouts: that of the authors, with or without `control_model.` before the names; that of diffusers
(`controlnet_down_blocks.0.weight`); differences to a model's own weights, marked by a tensor `difference`;
Control-LoRA, marked by `lora_controlnet`, with low-rank differences (`X.up`, `X.down`) and whole tensors.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from torch import Tensor

from comfykit.errors import ModelFileError
from comfykit.models.controlnet import HINT_STRIDES, ControlNetConfig
from comfykit.models.controlnet_union import UnionConfig
from comfykit.models.unet import UNetConfig
from comfykit.weights.diffusers_names import checkpoint_names
from comfykit.weights.layouts import Shapes, encoder_config
from comfykit.weights.read import take

PREFIX = "control_model."
DIFFERENCE = "difference"
LORA = "lora_controlnet"

_HINT = "controlnet_cond_embedding"
_HINT_LAYERS = (f"{_HINT}.conv_in", *(f"{_HINT}.blocks.{i}" for i in range(6)), f"{_HINT}.conv_out")

_FOREIGN = (
    (r"(controlnet_blocks|controlnet_x_embedder|controlnet_single_blocks)\.", "a ControlNet for SD3 or Flux"),
    (r"lllite_", "a ControlNet-LLLite"),
)


def control_tensors(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors of a ControlNet, whatever layout its file has; of a Control-LoRA, those of its file.

    Raises `ModelFileError` for other things that files of ControlNets hold.
    """
    for sign, called in _FOREIGN:
        if any(re.match(sign, name) for name in tensors):
            raise ModelFileError(
                f"this is {called}, which comfykit does not run",
                hint="it runs ControlNets of SD 1.x, SD 2.x and SDXL",
            )
    if any(name.startswith(PREFIX) for name in tensors):
        return take(tensors, PREFIX)
    if any(name.startswith("controlnet_down_blocks.") for name in tensors):
        return _from_diffusers(tensors)
    return {name: tensor for name, tensor in tensors.items() if name not in (LORA, DIFFERENCE)}


def low_rank_layers(names: Iterable[str]) -> list[str]:
    """The layers of a Control-LoRA that differ from the model's own by a product of low rank."""
    given = list(names)
    below = {name.removesuffix(".down") for name in given if name.endswith(".down")}
    above = (name.removesuffix(".up") for name in given if name.endswith(".up"))
    return [layer for layer in above if layer in below]


def controlnet_config(shapes: Shapes) -> ControlNetConfig:
    """Configuration of the ControlNet whose tensors these are, named as in `models.controlnet`.

    Raises `ModelFileError` where a tensor is missing that every such network has.
    """
    return with_hint_layers(encoder_config(shapes), shapes)


def with_hint_layers(encoder: UNetConfig, shapes: Shapes) -> ControlNetConfig:
    """Configuration of a ControlNet with this way down, and these tensors for what only ControlNets have."""
    names = [f"input_hint_block.{2 * index}.weight" for index in range(len(HINT_STRIDES))]
    lacking = [name for name in names if len(shapes.get(name, ())) != 4]
    if lacking:
        raise ModelFileError(
            f"the ControlNet has a layout that comfykit does not know: no tensor {lacking[0]}"
        )
    return ControlNetConfig(
        encoder=encoder,
        hint_channels=shapes[names[0]][1],
        hint_widths=tuple(shapes[name][0] for name in names[:-1]),
        union=_union(shapes),
    )


def _union(shapes: Shapes) -> UnionConfig | None:
    tasks, embedding = shapes.get("task_embedding"), shapes.get("control_add_embedding.linear_1.weight")
    if tasks is None or embedding is None:
        return None
    layers = {name.split(".")[1] for name in shapes if name.startswith("transformer_layes.")}
    return UnionConfig(tasks[0], embedding[1] // tasks[0], len(layers))


def _from_diffusers(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The same tensors under the authors' names; those that have no other keep theirs."""
    counts = _residual_blocks(tensors)
    config = UNetConfig(num_res_blocks=counts, output_depths=(0,) * (sum(counts) + len(counts)))
    layers = {name.rpartition(".")[0] for name in tensors}
    known = {**checkpoint_names(layers, config), **dict(_own_names(layers))}
    return {_renamed(name, known): tensor for name, tensor in tensors.items()}


def _renamed(name: str, known: Mapping[str, str]) -> str:
    layer, _, parameter = name.rpartition(".")
    return f"{known[layer]}.{parameter}" if layer in known else name


def _own_names(layers: Iterable[str]) -> Iterable[tuple[str, str]]:
    """Pairs of names of the layers that only ControlNets have: in diffusers, and the authors'."""
    yield from ((layer, f"input_hint_block.{2 * index}") for index, layer in enumerate(_HINT_LAYERS))
    yield "controlnet_mid_block", "middle_block_out.0"
    for layer in layers:
        if layer.startswith("controlnet_down_blocks."):
            yield layer, f"zero_convs.{layer.removeprefix('controlnet_down_blocks.')}.0"


def _residual_blocks(names: Iterable[str]) -> tuple[int, ...]:
    """How many residual blocks each level has."""
    number = re.compile(r"down_blocks\.(\d{1,2})\.resnets\.(\d{1,2})\.")
    found = [(int(match[1]), int(match[2])) for name in names if (match := number.match(name))]
    levels = max((level for level, _ in found), default=-1) + 1
    return tuple(len({block for at, block in found if at == level}) for level in range(levels))
