"""`comfy.extra_samplers.uni_pc`: UniPC as a function such as packs call."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from comfykit.compat.host.comfy.k_diffusion.sampling import by_schedule


def sample_unipc(
    model: Any,
    noise: Tensor,
    sigmas: Tensor,
    extra_args: Any = None,
    callback: Any = None,
    disable: bool = False,
    variant: str = "bh1",
) -> Tensor:
    """UniPC."""
    return by_schedule("uni_pc" if variant == "bh1" else "uni_pc_bh2")(
        model, noise, sigmas, extra_args, callback, disable
    )


def sample_unipc_bh2(
    model: Any,
    noise: Tensor,
    sigmas: Tensor,
    extra_args: Any = None,
    callback: Any = None,
    disable: bool = False,
) -> Tensor:
    """UniPC with B2."""
    return sample_unipc(model, noise, sigmas, extra_args, callback, disable, "bh2")
