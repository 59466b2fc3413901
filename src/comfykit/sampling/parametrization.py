"""What a network's output means, and how noise and latent are mixed into its input.

A parametrization turns the sampler's x into the network's input, the network's output into a prediction
of x0, and a clean latent into the state at a noise level. In all of them sigma is a tensor [batch] or
of no dimension.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from torch import Tensor


class Parametrization(Protocol):
    """How one kind of model sees x, sigma and its own output."""

    def scale_input(self, sigma: Tensor, x: Tensor) -> Tensor:
        """What the network is given for x."""
        ...

    def denoised(self, sigma: Tensor, output: Tensor, x: Tensor) -> Tensor:
        """The prediction of x0 that lies in the network's output for x."""
        ...

    def noise_latent(self, sigma: Tensor, noise: Tensor, latent: Tensor, max_denoise: bool) -> Tensor:
        """The state at sigma of a latent under a noise of variance 1.

        `max_denoise` says that a run begins here at the model's largest level, where x is taken to be
        noise altogether.
        """
        ...

    def finish(self, sigma: Tensor, x: Tensor) -> Tensor:
        """The latent that a run hands out when its last level is sigma."""
        ...


def per_row(sigma: Tensor, x: Tensor) -> Tensor:
    """Sigma [batch] shaped so that it multiplies the rows of x."""
    return sigma.reshape(sigma.shape + (1,) * (x.ndim - 1)) if sigma.ndim else sigma


@dataclass(frozen=True, slots=True)
class _VarianceExploding:
    """x = x0 + sigma * noise, given to the network at variance 1.

    `sigma_data` is the standard deviation that latents are taken to have.
    """

    sigma_data: float = field(default=1.0, kw_only=True)

    def scale_input(self, sigma: Tensor, x: Tensor) -> Tensor:
        """x / sqrt(sigma^2 + sigma_data^2)."""
        return x / (per_row(sigma, x) ** 2 + self.sigma_data**2).sqrt()

    def noise_latent(self, sigma: Tensor, noise: Tensor, latent: Tensor, max_denoise: bool) -> Tensor:
        """Latent + sigma * noise; at the largest level the noise has the variance of noise and data."""
        level = per_row(sigma, noise)
        return noise * ((1 + level**2).sqrt() if max_denoise else level) + latent

    def finish(self, sigma: Tensor, x: Tensor) -> Tensor:
        """X itself: noise that is left over is handed out with the latent."""
        return x


@dataclass(frozen=True, slots=True)
class EpsPrediction(_VarianceExploding):
    """The network predicts the noise (arXiv 2006.11239)."""

    def denoised(self, sigma: Tensor, output: Tensor, x: Tensor) -> Tensor:
        """X - sigma * eps."""
        return x - per_row(sigma, x) * output


@dataclass(frozen=True, slots=True)
class VPrediction(_VarianceExploding):
    """The network predicts the velocity v = alpha * noise - sigma * x0 (arXiv 2202.00512, appendix D)."""

    def denoised(self, sigma: Tensor, output: Tensor, x: Tensor) -> Tensor:
        """X d^2 / (sigma^2 + d^2) - v * sigma d / sqrt(sigma^2 + d^2), with d = sigma_data."""
        level = per_row(sigma, x)
        variance = level**2 + self.sigma_data**2
        return x * (self.sigma_data**2 / variance) - output * (level * self.sigma_data / variance.sqrt())


@dataclass(frozen=True, slots=True)
class EDMPrediction(_VarianceExploding):
    """The network predicts what EDM's preconditioning leaves to it (arXiv 2206.00364, table 1)."""

    sigma_data: float = field(default=0.5, kw_only=True)

    def denoised(self, sigma: Tensor, output: Tensor, x: Tensor) -> Tensor:
        """X d^2 / (sigma^2 + d^2) + output * sigma d / sqrt(sigma^2 + d^2), with d = sigma_data."""
        level = per_row(sigma, x)
        variance = level**2 + self.sigma_data**2
        return x * (self.sigma_data**2 / variance) + output * (level * self.sigma_data / variance.sqrt())


@dataclass(frozen=True, slots=True)
class X0Prediction(_VarianceExploding):
    """The network predicts the clean latent."""

    def denoised(self, sigma: Tensor, output: Tensor, x: Tensor) -> Tensor:
        """The output itself."""
        return output


@dataclass(frozen=True, slots=True)
class ImageToImage(X0Prediction):
    """The network makes the clean latent of x as it is, as those that edit pictures in one step do."""

    def scale_input(self, sigma: Tensor, x: Tensor) -> Tensor:
        """X itself."""
        return x


@dataclass(frozen=True, slots=True)
class FlowTimePrediction(_VarianceExploding):
    """A rectified flow seen as x = x0 + sigma * noise: its time is t = sigma / (1 + sigma).

    The flow's own state is (1 - t) x0 + t noise = x / (1 + sigma), its velocity noise - x0 (NVIDIA
    Cosmos-Predict2).
    """

    def scale_input(self, sigma: Tensor, x: Tensor) -> Tensor:
        """x / (1 + sigma)."""
        return x / (1 + per_row(sigma, x))

    def denoised(self, sigma: Tensor, output: Tensor, x: Tensor) -> Tensor:
        """(x - sigma v) / (1 + sigma)."""
        level = per_row(sigma, x)
        return (x - level * output) / (1 + level)
