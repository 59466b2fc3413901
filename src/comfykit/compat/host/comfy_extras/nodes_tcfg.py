"""`comfy_extras.nodes_tcfg`."""

from __future__ import annotations

import torch
from torch import Tensor

from comfykit.compat.extras import classes

globals().update(classes(__name__))


def score_tangential_damping(cond_score: Tensor, uncond_score: Tensor) -> Tensor:
    """The negative score without what points across the direction that both share (arXiv 2503.18137)."""
    rows = len(cond_score)
    both = torch.stack([cond_score.reshape(rows, -1), uncond_score.reshape(rows, -1)], dim=1).float()
    shared = torch.linalg.svd(both, full_matrices=False)[2][:, :1]
    flat = uncond_score.reshape(rows, 1, -1).float()
    damped: Tensor = (flat @ shared.transpose(1, 2)) @ shared
    return damped.reshape(uncond_score.shape).to(uncond_score)
