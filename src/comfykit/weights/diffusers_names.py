"""The names that diffusers gives the layers of a U-Net, from the names here, and the other way round.

Checkpoints (and the code here) number the blocks of a U-Net from its input to its output; diffusers
groups them by resolution: `down_blocks.{level}.resnets.{i}`, `.attentions.{i}`, `.downsamplers.0`, and the
same on the way up. Which block is which follows from how many residual blocks each level has.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from comfykit.models.unet import UNetConfig

_OUTSIDE = {
    "input_blocks.0.0": "conv_in",
    "time_embed.0": "time_embedding.linear_1",
    "time_embed.2": "time_embedding.linear_2",
    "label_emb.0.0": "add_embedding.linear_1",
    "label_emb.0.2": "add_embedding.linear_2",
    "out.0": "conv_norm_out",
    "out.2": "conv_out",
}

_IN_RESNET = {
    "in_layers.0": "norm1",
    "in_layers.2": "conv1",
    "emb_layers.1": "time_emb_proj",
    "out_layers.0": "norm2",
    "out_layers.3": "conv2",
    "skip_connection": "conv_shortcut",
}


def diffusers_names(layers: Iterable[str], config: UNetConfig) -> dict[str, str]:
    """What diffusers calls each of the layers ("input_blocks.1.1.proj_in") that it has."""
    blocks = {**_OUTSIDE, **dict(_blocks(config))}
    found = ((layer, _name(layer, blocks)) for layer in layers)
    return {layer: name for layer, name in found if name is not None}


def checkpoint_names(layers: Iterable[str], config: UNetConfig) -> dict[str, str]:
    """What checkpoints call each of the layers of diffusers ("down_blocks.0.resnets.0.conv1") that they have.

    Of the configuration, only how many residual blocks each level has need be known for the way down.
    """
    ours = {theirs: ours for ours, theirs in (*_OUTSIDE.items(), *_blocks(config))}
    inside = {theirs: ours for ours, theirs in _IN_RESNET.items()}
    found: dict[str, str] = {}
    for layer in layers:
        parts = layer.split(".")
        depth = 3 if parts[0] == "mid_block" else 4
        block, inner = ours.get(".".join(parts[:depth])), ".".join(parts[depth:])
        if layer in ours:
            found[layer] = ours[layer]
        elif block is not None:
            found[layer] = f"{block}.{inside.get(inner, inner)}"
    return found


def _name(layer: str, blocks: Mapping[str, str]) -> str | None:
    if layer in blocks:
        return blocks[layer]
    parts = layer.split(".")
    depth = 2 if parts[0] == "middle_block" else 3
    block, inner = blocks.get(".".join(parts[:depth])), ".".join(parts[depth:])
    if block is None:
        return None
    return f"{block}.{_IN_RESNET.get(inner, inner)}"


def _blocks(config: UNetConfig) -> Iterator[tuple[str, str]]:
    """Pairs of names: of a block's residual network, transformer or resampling, here and in diffusers."""
    yield from _down(config)
    yield "middle_block.0", "mid_block.resnets.0"
    yield "middle_block.1", "mid_block.attentions.0"
    yield "middle_block.2", "mid_block.resnets.1"
    yield from _up(config)


def _down(config: UNetConfig) -> Iterator[tuple[str, str]]:
    block = 0
    for level, count in enumerate(config.num_res_blocks):
        if level:
            block += 1
            yield f"input_blocks.{block}.0.op", f"down_blocks.{level - 1}.downsamplers.0.conv"
        for index in range(count):
            block += 1
            yield f"input_blocks.{block}.0", f"down_blocks.{level}.resnets.{index}"
            yield f"input_blocks.{block}.1", f"down_blocks.{level}.attentions.{index}"


def _up(config: UNetConfig) -> Iterator[tuple[str, str]]:
    block = 0
    last = len(config.num_res_blocks) - 1
    for level, count in enumerate(reversed(config.num_res_blocks)):
        for index in range(count + 1):
            if level < last and index == count:
                # It follows the transformer, where there is one.
                place = 2 if config.output_depths[block] else 1
                yield f"output_blocks.{block}.{place}.conv", f"up_blocks.{level}.upsamplers.0.conv"
            yield f"output_blocks.{block}.0", f"up_blocks.{level}.resnets.{index}"
            yield f"output_blocks.{block}.1", f"up_blocks.{level}.attentions.{index}"
            block += 1
