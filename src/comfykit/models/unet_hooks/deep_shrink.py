"""Deep shrink: the coarse levels of the U-Net see a smaller picture, so that large ones stay coherent.

kohya-ss, "Deep Shrink" (2023): features are made smaller at one input block, in early steps, and are enlarged
where they meet a skip connection that is larger.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from torch import Tensor

from comfykit.models.hooks import BlockInfo, UNetHooks

Resize: TypeAlias = Callable[[Tensor, int, int], Tensor]
"""(x [B, C, h, w], width, height) -> [B, C, height, width]."""


@dataclass(frozen=True, slots=True)
class DeepShrink:
    """Shrinks after input block `block` at levels from `start_sigma` down to `end_sigma`."""

    block: int
    factor: float
    start_sigma: float
    end_sigma: float
    shrink: Resize
    enlarge: Resize

    def added_to(self, hooks: UNetHooks, *, after_skip: bool) -> UNetHooks:
        """Hooks with this one; `after_skip` leaves the block's skip connection in its size."""
        hooks = hooks.with_after_skip(self.shrunk) if after_skip else hooks.with_after_input(self.shrunk)
        return hooks.with_before_output(self.fitted)

    def shrunk(self, h: Tensor, info: BlockInfo) -> Tensor:
        """Features of the block, smaller by the factor."""
        if info.number != self.block or not self.end_sigma <= float(info.sigma[0]) <= self.start_sigma:
            return h
        height, width = (round(side / self.factor) for side in h.shape[-2:])
        return self.shrink(h, width, height).to(h.dtype)

    def fitted(self, h: Tensor, skip: Tensor, info: BlockInfo) -> tuple[Tensor, Tensor]:
        """Features in the size of the skip connection that they meet."""
        if h.shape[-2:] != skip.shape[-2:]:
            height, width = skip.shape[-2:]
            h = self.enlarge(h, width, height).to(h.dtype)
        return h, skip
