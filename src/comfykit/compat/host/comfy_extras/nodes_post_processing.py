"""`comfy_extras.nodes_post_processing`."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from comfykit.compat.extras import classes

globals().update(classes(__name__))


def gaussian_kernel(kernel_size: int, sigma: float, device: Any = None) -> Tensor:
    """Weights [size, size] of a Gaussian, whose sum is 1; `sigma` is in halves of the kernel."""
    import torch

    places = torch.linspace(-1, 1, kernel_size, device=device)
    squares = places[:, None] ** 2 + places[None] ** 2
    weights = torch.exp(-squares / (2 * sigma**2))
    return weights / weights.sum()
