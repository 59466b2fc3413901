"""`comfy_extras.nodes_custom_sampler`."""

from __future__ import annotations

from typing import Any

from comfykit.compat.extras import classes
from comfykit.compat.host.comfy import samplers
from comfykit.sampling.latent_noise import NoNoise, RandomNoise

globals().update(classes(__name__))

Noise_RandomNoise = RandomNoise


class Noise_EmptyNoise(NoNoise):  # noqa: N801
    """None at all."""

    def __init__(self) -> None:
        super().__init__(0)


class Guider_Basic(samplers.CFGGuider):  # noqa: N801
    """Guided by one side alone."""

    def set_conds(self, positive: Any, negative: Any = None) -> None:
        """What to guide to."""
        self.inner_set_conds({"positive": positive})


class Guider_DualCFG(samplers.CFGGuider):  # noqa: N801
    """Guided by two sides, one on top of the other, and away from a third; to compare with."""
