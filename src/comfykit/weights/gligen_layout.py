"""Files of GLIGEN: the shape of its layers, and its tensors among those of a whole model."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import cast

from torch import Tensor

from comfykit.errors import ModelFileError
from comfykit.models.gligen import FuserPlace, GligenConfig
from comfykit.models.hooks import BlockKind
from comfykit.weights.layouts import Shapes

_OWN = re.compile(r"(?:model\.diffusion_model\.|model\.)?((?:.+\.fuser|position_net)\..+)")
_WIDTH = re.compile(
    r"(?:(input|output)_blocks\.(\d+)|middle_block)\.1\.transformer_blocks\.(\d+)\.fuser\.linear\.weight"
)


def gligen_tensors(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors of `models.gligen`, without those of the U-Net that full files hold beside them."""
    return {match[1]: tensor for name, tensor in tensors.items() if (match := _OWN.fullmatch(name))}


def gligen_config(shapes: Shapes) -> GligenConfig:
    """Configuration of the layers whose tensors these are; raises `ModelFileError` for other grounding."""
    fusers: dict[FuserPlace, int] = {}
    for name, shape in shapes.items():
        if match := _WIDTH.fullmatch(name):
            kind = cast("BlockKind", match[1] or "middle")
            fusers[kind, int(match[2] or 0), int(match[3])] = shape[0]
    try:
        (text,) = shapes["position_net.null_positive_feature"]
        (position,) = shapes["position_net.null_position_feature"]
        hidden, _ = shapes["position_net.linears.0.weight"]
        out, _ = shapes["position_net.linears.4.weight"]
    except KeyError as missing:
        raise ModelFileError(
            f"this GLIGEN model has no tensor {missing}: it is not one of phrases in boxes",
            hint="take the text box model (gligen_sd14_textbox_pruned)",
        ) from missing
    return GligenConfig(fusers, text, position // 8, hidden, out)
