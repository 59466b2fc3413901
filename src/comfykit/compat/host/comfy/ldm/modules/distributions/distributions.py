"""`comfy.ldm.modules.distributions.distributions`: the posterior of an autoencoder."""

from __future__ import annotations

import torch
from torch import Tensor


class DiagonalGaussianDistribution:
    """A normal distribution by mean and log-variance, one after the other in the channels."""

    def __init__(self, parameters: Tensor, deterministic: bool = False) -> None:
        self.parameters = parameters
        self.mean, logvar = parameters.chunk(2, dim=1)
        self.logvar = logvar.clamp(-30.0, 20.0)
        self.deterministic = deterministic
        self.var = torch.zeros_like(self.mean) if deterministic else self.logvar.exp()
        self.std = self.var.sqrt()

    def sample(self) -> Tensor:
        """A draw."""
        return self.mean + self.std * torch.randn(self.mean.shape).to(self.mean)

    def mode(self) -> Tensor:
        """The mean."""
        return self.mean
