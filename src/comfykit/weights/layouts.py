"""The shape of a network, read from the shapes of its tensors; names are those without prefix."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TypeAlias

from comfykit.errors import ModelFileError
from comfykit.models.unet import UNetConfig
from comfykit.models.vae import VAEConfig

Shapes: TypeAlias = Mapping[str, tuple[int, ...]]


def unet_config(shapes: Shapes) -> UNetConfig:
    """Configuration of the U-Net whose tensors these are.

    Raises `ModelFileError` where a tensor is missing that every such U-Net has.
    """
    down = encoder_config(shapes)
    if not down.context_dim:
        raise _unknown("no cross-attention (attn2.to_k.weight)")
    blocks_up = sum(down.num_res_blocks) + len(down.num_res_blocks)
    return replace(
        down,
        out_channels=_shape(shapes, "out.2.weight", 4)[0],
        output_depths=tuple(_depth(shapes, f"output_blocks.{index}.1.") for index in range(blocks_up)),
    )


def encoder_config(shapes: Shapes) -> UNetConfig:
    """Configuration of the half of a U-Net that leads down: of a ControlNet. The way up is left empty.

    `context_dim` is 0 where nothing attends to prompts, as in the smallest ControlNets for SDXL.

    Raises `ModelFileError` where a tensor is missing that every such network has.
    """
    width, in_channels = _shape(shapes, "input_blocks.0.0.weight", 4)[:2]
    counts, mults, input_depths = _way_down(shapes, width)
    projections = {name: shape for name, shape in shapes.items() if name.endswith(".proj_in.weight")}
    label = shapes.get("label_emb.0.0.weight")
    return UNetConfig(
        in_channels=in_channels,
        model_channels=width,
        channel_mult=mults,
        num_res_blocks=counts,
        input_depths=input_depths,
        middle_depth=_depth(shapes, "middle_block.1."),
        output_depths=(),
        context_dim=_context_dim(shapes),
        adm_in_channels=label[1] if label else None,
        use_linear=any(len(shape) == 2 for shape in projections.values()),
    )


def _way_down(shapes: Shapes, width: int) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
    """Residual blocks and width, in units of `width`, of each level; depth of each transformer."""
    counts, mults, depths = [0], [1], []
    for index in range(1, _count(shapes, "input_blocks.")):
        block = f"input_blocks.{index}."
        if f"{block}0.op.weight" in shapes:
            counts.append(0)
            mults.append(0)
            continue
        channels = _shape(shapes, f"{block}0.out_layers.3.weight", 4)[0]
        if channels % width:
            raise _unknown(f"{block}0 is {channels} channels wide, no multiple of {width}")
        counts[-1] += 1
        mults[-1] = channels // width
        depths.append(_depth(shapes, f"{block}1."))
    return tuple(counts), tuple(mults), tuple(depths)


def _context_dim(shapes: Shapes) -> int:
    return next((shape[1] for name, shape in shapes.items() if name.endswith(".attn2.to_k.weight")), 0)


def vae_config(shapes: Shapes) -> VAEConfig:
    """Configuration of the autoencoder whose tensors these are.

    Raises `ModelFileError` where a tensor is missing that every such autoencoder has.
    """
    ch, in_channels = _shape(shapes, "encoder.conv_in.weight", 4)[:2]
    levels = _count(shapes, "encoder.down.")
    widths = [_shape(shapes, f"encoder.down.{i}.block.0.conv1.weight", 4)[0] for i in range(levels)]
    if any(width % ch for width in widths):
        raise _unknown(f"levels of the autoencoder are {widths} channels wide, no multiples of {ch}")
    quantised = shapes.get("post_quant_conv.weight")
    return VAEConfig(
        in_channels=in_channels,
        out_channels=_shape(shapes, "decoder.conv_out.weight", 4)[0],
        ch=ch,
        ch_mult=tuple(width // ch for width in widths),
        num_res_blocks=_count(shapes, "encoder.down.0.block."),
        z_channels=_shape(shapes, "decoder.conv_in.weight", 4)[1],
        embed_dim=quantised[1] if quantised else None,
    )


def _depth(shapes: Shapes, prefix: str) -> int:
    return _count(shapes, f"{prefix}transformer_blocks.")


def _count(shapes: Iterable[str], prefix: str) -> int:
    """One more than the highest number that follows `prefix` in a name, 0 where there is none."""
    number = re.compile(re.escape(prefix) + r"(\d{1,4})\.")
    found = (match for name in shapes if (match := number.match(name)))
    return max((int(match[1]) + 1 for match in found), default=0)


def _shape(shapes: Shapes, name: str, dimensions: int) -> tuple[int, ...]:
    """Shape of a tensor that must be there, with that many dimensions."""
    shape = shapes.get(name)
    if shape is None:
        raise _unknown(f"no tensor {name}")
    if len(shape) != dimensions:
        raise _unknown(f"{name} has the shape {list(shape)}")
    return shape


def _unknown(what: str) -> ModelFileError:
    return ModelFileError(f"the network has a layout that comfykit does not know: {what}")
