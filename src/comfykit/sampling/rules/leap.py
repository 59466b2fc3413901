"""MaHiRo: guidance along the positive prompt rather than away from the negative one."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

from comfykit.sampling.guidance import GuidanceInputs


def leaped(guided: Tensor, inputs: GuidanceInputs) -> Tensor:
    """Mix the guided prediction with the positive one times `cfg`, a "leap".

    The more the mean of leap and guidance resembles the negative prediction, the more guidance counts:
    with the cosine similarity r of both, after square roots that keep their signs, the result is
    ((1 + r) guided + (1 - r) leap) / 2 (yoinked, "Making classifier free guidance help in naive
    conditioning jumps", 2024-1208.1).
    """
    leap, away = inputs.positive * inputs.cfg, inputs.negative * inputs.cfg
    alike = F.cosine_similarity(_signed_root(away), _signed_root((leap + guided) / 2)).mean()
    return ((1 + alike) * guided + (1 - alike) * leap) / 2


def _signed_root(x: Tensor) -> Tensor:
    return x.abs().sqrt() * x.sign()
