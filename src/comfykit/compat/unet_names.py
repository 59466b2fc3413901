"""The names of a U-Net's parameters in diffusers' files, from a configuration in ComfyUI's words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

_ENDS = ("weight", "bias")


def _both(layers: Mapping[str, str]) -> dict[str, str]:
    return {f"{ours}.{end}": f"{theirs}.{end}" for ours, theirs in layers.items() for end in _ENDS}


ATTENTIONS = {f"{layer}.{end}" for layer in ("proj_in", "proj_out", "norm") for end in _ENDS}

TRANSFORMER = {
    *(f"norm{number}.{end}" for number in (1, 2, 3) for end in _ENDS),
    *(f"attn{number}.to_{name}.weight" for number in (1, 2) for name in "qkv"),
    *(f"attn{number}.to_out.0.{end}" for number in (1, 2) for end in _ENDS),
    *(f"ff.net.{layer}.{end}" for layer in ("0.proj", "2") for end in _ENDS),
}

RESNET = _both(
    {
        "in_layers.2": "conv1",
        "emb_layers.1": "time_emb_proj",
        "out_layers.3": "conv2",
        "skip_connection": "conv_shortcut",
        "in_layers.0": "norm1",
        "out_layers.0": "norm2",
    }
)

BASIC = set(
    _both(
        {
            "label_emb.0.0": "class_embedding.linear_1",
            "label_emb.0.2": "class_embedding.linear_2",
            "input_blocks.0.0": "conv_in",
            "out.0": "conv_norm_out",
            "out.2": "conv_out",
            "time_embed.0": "time_embedding.linear_1",
            "time_embed.2": "time_embedding.linear_2",
        }
    ).items()
) | set(_both({"label_emb.0.0": "add_embedding.linear_1", "label_emb.0.2": "add_embedding.linear_2"}).items())


def unet_names(config: Mapping[str, Any]) -> dict[str, str]:
    """diffusers' name of every parameter to the one here; empty for configurations of other networks.

    Reads `num_res_blocks`, `channel_mult`, `transformer_depth`, `transformer_depth_output` and
    `transformer_depth_middle`.
    """
    if "num_res_blocks" not in config:
        return {}
    found = dict(_names(config))
    return found | {theirs: ours for ours, theirs in BASIC}


def _names(config: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    counts = list(config["num_res_blocks"])
    levels = len(config["channel_mult"])
    down, up = iter(config["transformer_depth"]), iter(reversed(config["transformer_depth_output"]))
    block = 1
    for level in range(levels):
        for index in range(counts[level]):
            yield from _cell(f"down_blocks.{level}", index, f"input_blocks.{block}", next(down))
            block += 1
        for end in _ENDS:
            yield f"down_blocks.{level}.downsamplers.0.conv.{end}", f"input_blocks.{block}.0.op.{end}"
        block += 1
    for index, ours in enumerate(("middle_block.0", "middle_block.2")):
        yield from _resnet(f"mid_block.resnets.{index}", ours)
    yield from _attention("mid_block.attentions.0", "middle_block.1", config["transformer_depth_middle"])
    block = 0
    for level, count in enumerate(reversed(counts)):
        for index in range(count + 1):
            depth = next(up)
            yield from _cell(f"up_blocks.{level}", index, f"output_blocks.{block}", depth)
            if index == count:
                place = 2 if depth > 0 else 1
                for end in _ENDS:
                    yield (
                        f"up_blocks.{level}.upsamplers.0.conv.{end}",
                        f"output_blocks.{block}.{place}.conv.{end}",
                    )
            block += 1


def _cell(level: str, index: int, ours: str, depth: int) -> Iterator[tuple[str, str]]:
    yield from _resnet(f"{level}.resnets.{index}", f"{ours}.0")
    if depth > 0:
        yield from _attention(f"{level}.attentions.{index}", f"{ours}.1", depth)


def _resnet(theirs: str, ours: str) -> Iterator[tuple[str, str]]:
    return ((f"{theirs}.{name}", f"{ours}.{own}") for own, name in RESNET.items())


def _attention(theirs: str, ours: str, depth: int) -> Iterator[tuple[str, str]]:
    for name in ATTENTIONS:
        yield f"{theirs}.{name}", f"{ours}.{name}"
    for index in range(depth):
        for name in TRANSFORMER:
            inner = f"transformer_blocks.{index}.{name}"
            yield f"{theirs}.{inner}", f"{ours}.{inner}"
