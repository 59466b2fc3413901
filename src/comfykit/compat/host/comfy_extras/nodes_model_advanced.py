"""`comfy_extras.nodes_model_advanced`."""

from __future__ import annotations

import torch
from torch import Tensor

from comfykit.compat.extras import classes
from comfykit.compat.host.comfy import model_sampling
from comfykit.compat.host.comfy.model_sampling import rescale_zero_terminal_snr_sigmas

__all__ = ["LCM", "X0", "ModelSamplingDiscreteDistilled", "rescale_zero_terminal_snr_sigmas"]

globals().update(classes(__name__))


class LCM(model_sampling.EPS):
    """What the output of latent consistency models means (arXiv 2310.04378)."""

    sigma_data: float

    def calculate_denoised(self, sigma: Tensor, model_output: Tensor, model_input: Tensor) -> Tensor:
        """`c_out x0 + c_skip x` at ten times the timestep, sigma_data 0.5."""
        timestep = self.timestep(sigma).reshape(sigma.shape[:1] + (1,) * (model_output.ndim - 1))  # type: ignore[attr-defined]
        level = model_sampling.reshape_sigma(sigma, model_output.ndim)
        x0 = model_input - model_output * level
        scaled = timestep * 10.0
        skip = 0.25 / (scaled**2 + 0.25)
        out = scaled / torch.sqrt(scaled**2 + 0.25)
        found: Tensor = out * x0 + skip * model_input
        return found


class X0(model_sampling.X0):
    """The network predicts the clean latent."""


class ModelSamplingDiscreteDistilled(model_sampling.ModelSamplingDiscrete):
    """50 of the levels, up to the last one; timesteps stay those of the whole list."""

    original_timesteps = 50

    def __init__(self, model_config: object = None, zsnr: bool | None = None) -> None:
        super().__init__(model_config, zsnr)
        self.skip_steps = self.num_timesteps // self.original_timesteps
        whole = self.levels.sigmas
        self.set_sigmas(whole[self.skip_steps - 1 :: self.skip_steps])

    def timestep(self, sigma: object) -> Tensor:
        """The timestep, in the whole list, of the nearest level."""
        return super().timestep(sigma) * self.skip_steps + (self.skip_steps - 1)

    def sigma(self, timestep: object) -> Tensor:
        """The level of a timestep of the whole list."""
        return super().sigma((torch.as_tensor(timestep).float() - (self.skip_steps - 1)) / self.skip_steps)
