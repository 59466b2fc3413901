"""Upscalers in weights files: which network a file holds, its shape, and the names of its tensors.

RRDBNet is published under three sets of names, those of ESRGAN's first release (`model.1.sub.0.RDB1...`),
of its second (`RRDB_trunk.0.RDB1...`) and of Real-ESRGAN (`body.0.rdb1...`), which are the network's.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping

from torch import Tensor

from comfykit.errors import ModelFileError
from comfykit.models.esrgan import RRDBNetConfig
from comfykit.weights.layouts import Shapes

# Beginnings of names that only files of other networks have, in the order in which they are looked for.
_OTHERS = (
    (r"model\.1\.sub\.\d+\.RDB1\.conv1x1\.", "ESRGAN+"),
    (r"layers\.0\.residual_group\.blocks\.0\.conv_block\.", "HAT"),
    (r"layers\.0\.blocks\.0\.attn\.attn_mask_0", "DAT"),
    (r"layers\.0\.residual_group\.", "SwinIR or Swin2SR"),
    (r"layers\.0\.blocks\.", "DAT"),
    (r"residual_layer\.0\.", "OmniSR"),
    (r"block_1\.c1_r\.", "SPAN"),
    (r"feats\.\d+\.", "PLKSR"),
    (r"body\.0\.weight$", "SRVGGNet, the compact Real-ESRGAN"),
)

_OLD_NAMES = (
    (re.compile(r"model\.0\."), "conv_first."),
    (re.compile(r"model\.1\.sub\.(\d+)\.RDB(\d)\.conv(\d)\.0\."), r"body.\1.rdb\2.conv\3."),
    (re.compile(r"model\.1\.sub\.\d+\."), "conv_body."),
    (re.compile(r"RRDB_trunk\.(\d+)\.RDB(\d)\."), r"body.\1.rdb\2."),
    (re.compile(r"trunk_conv\."), "conv_body."),
    (re.compile(r"upconv(\d)\."), r"conv_up\1."),
    (re.compile(r"HRconv\."), "conv_hr."),
)
_PLAIN = re.compile(r"model\.(\d+)\.(weight|bias)$")


def esrgan_names(names: Iterable[str]) -> dict[str, str]:
    """What the network calls each tensor of a file; names that it does not know stay."""
    listed = list(names)
    plain = {int(match[1]) for name in listed if (match := _PLAIN.match(name))}
    after_body = sorted(plain - {0})  # doubling convolutions, then the last two
    ends = {number: f"conv_up{place}." for place, number in enumerate(after_body[:-2], 1)}
    ends |= dict(zip(after_body[-2:], ("conv_hr.", "conv_last."), strict=False))
    return {name: _new_name(name, ends) for name in listed}


def rrdbnet_config(shapes: Shapes) -> RRDBNetConfig:
    """Configuration of the network whose tensors these are, under the network's names.

    Raises `ModelFileError` for another network, naming it where it is a known one.
    """
    try:
        width, folded = shapes["conv_first.weight"][:2]
        growth = shapes["body.0.rdb1.conv1.weight"][0]
        out_channels = shapes["conv_last.weight"][0]
    except (KeyError, ValueError):
        raise _other_network(shapes) from None
    unshuffle = math.isqrt(folded // out_channels) or 1
    if out_channels * unshuffle**2 != folded or unshuffle & (unshuffle - 1):
        raise ModelFileError(
            f"an upscaler that makes {out_channels} channels of {folded}, which comfykit does not know"
        )
    return RRDBNetConfig(
        in_channels=out_channels,
        out_channels=out_channels,
        width=width,
        growth=growth,
        blocks=len({name.split(".")[1] for name in shapes if name.startswith("body.")}),
        doublings=len({name.split(".")[0] for name in shapes if name.startswith("conv_up")}),
        unshuffle=unshuffle,
    )


def esrgan_tensors(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The same tensors under the network's names."""
    names = esrgan_names(tensors)
    return {names[name]: tensor for name, tensor in tensors.items()}


def _new_name(name: str, ends: Mapping[int, str]) -> str:
    plain = _PLAIN.match(name)
    if plain and int(plain[1]) in ends:
        return ends[int(plain[1])] + plain[2]
    for old, new in _OLD_NAMES:
        renamed, found = old.subn(new, name, count=1)
        if found and old.match(name):
            return renamed
    return name


def _other_network(shapes: Iterable[str]) -> ModelFileError:
    listed = list(shapes)
    known = next((called for sign, called in _OTHERS if any(re.match(sign, name) for name in listed)), None)
    return ModelFileError(
        f"an upscaler of the network {known}, which comfykit does not run"
        if known
        else f"an upscaler of an unknown network: {', '.join(sorted(listed)[:3])}, ...",
        hint="comfykit runs ESRGAN and Real-ESRGAN (RRDBNet), such as RealESRGAN_x4plus or 4x-UltraSharp",
        network=known,
    )
