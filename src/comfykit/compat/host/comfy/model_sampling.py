"""`comfy.model_sampling`: a model's noise levels and what its output means, in one object.

Packs mix a class of levels with one of outputs (`class Mine(ModelSamplingDiscrete, EPS)`) and give the
object to a model by `add_object_patch("model_sampling", ...)`. Here such an object holds our `NoiseLevels` as
`levels` and our `Parametrization` as `parametrization`, and answers by them.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from comfykit.sampling.continuous_levels import (
    AngularNoiseLevels,
    ContinuousNoiseLevels,
    FlowTimeNoiseLevels,
)
from comfykit.sampling.noise_levels import DiscreteNoiseLevels, NoiseLevels, scaled_linear_levels
from comfykit.sampling.parametrization import (
    EDMPrediction,
    EpsPrediction,
    FlowTimePrediction,
    ImageToImage,
    Parametrization,
    VPrediction,
    X0Prediction,
    per_row,
)


def rescale_zero_terminal_snr_sigmas(sigmas: Tensor) -> Tensor:
    """The levels stretched until the last one is pure noise (arXiv 2305.08891, algorithm 1)."""
    abar = 1 / (sigmas.double() ** 2 + 1)
    betas = 1 - abar / torch.cat([abar.new_ones(1), abar[:-1]])
    return DiscreteNoiseLevels.from_betas(betas, zero_terminal_snr=True).sigmas


def reshape_sigma(sigma: Tensor, noise_dim: int) -> Tensor:
    """Sigma [batch] shaped so that it multiplies the rows of x; a number stays one."""
    return sigma.reshape(sigma.shape[:1] + (1,) * (noise_dim - 1)) if sigma.ndim else sigma


def time_snr_shift(alpha: float, t: Any) -> Any:
    """`alpha t / (1 + (alpha - 1) t)`."""
    return t if alpha == 1.0 else alpha * t / (1 + (alpha - 1) * t)


def flux_time_shift(mu: float, sigma: float, t: Any) -> Any:
    """`e^mu / (e^mu + (1/t - 1)^sigma)`."""
    return math.exp(mu) / (math.exp(mu) + (1 / t - 1) ** sigma)


class _Output:
    """What the network's output means."""

    parametrization: Any = EpsPrediction()

    def _means(self) -> Parametrization:
        # Classes that packs mix in may set the deviation of data, `sigma_data`, by themselves.
        found: Parametrization = self.parametrization
        data, own = getattr(self, "sigma_data", None), getattr(found, "sigma_data", None)
        if data is None or own is None or float(data) == own:
            return found
        made: Parametrization = type(self.parametrization)(sigma_data=float(data))
        return made

    def calculate_input(self, sigma: Tensor, noise: Tensor) -> Tensor:
        """What the network is given for x."""
        return self._means().scale_input(sigma, noise)

    def calculate_denoised(self, sigma: Tensor, model_output: Tensor, model_input: Tensor) -> Tensor:
        """The prediction of x0 in the network's output for x."""
        return self._means().denoised(sigma, model_output, model_input)

    def noise_scaling(
        self, sigma: Tensor, noise: Tensor, latent_image: Tensor, max_denoise: bool = False
    ) -> Tensor:
        """The state of a latent at sigma."""
        return self._means().noise_latent(torch.as_tensor(sigma), noise, latent_image, max_denoise)

    def inverse_noise_scaling(self, sigma: Tensor, latent: Tensor) -> Tensor:
        """The latent that a run hands out at sigma."""
        return self._means().finish(torch.as_tensor(sigma), latent)


class EPS(_Output):
    """The network predicts the noise."""


class V_PREDICTION(EPS):  # noqa: N801
    """The network predicts the velocity."""

    parametrization: Any = VPrediction()


class EDM(V_PREDICTION):
    """The network predicts what EDM's preconditioning leaves to it."""

    parametrization = EDMPrediction()


class X0(EPS):
    """The network predicts the clean latent."""

    parametrization: Any = X0Prediction()


class IMG_TO_IMG(X0):  # noqa: N801
    """The network makes the clean latent of x as it is."""

    parametrization = ImageToImage()


class COSMOS_RFLOW(EPS):  # noqa: N801
    """A rectified flow seen as x0 + sigma noise."""

    parametrization = FlowTimePrediction()


class CONST(_Output):
    """A rectified flow: x = sigma noise + (1 - sigma) x0, and the network predicts noise - x0."""

    def calculate_input(self, sigma: Tensor, noise: Tensor) -> Tensor:
        """X itself."""
        return noise

    def calculate_denoised(self, sigma: Tensor, model_output: Tensor, model_input: Tensor) -> Tensor:
        """X - sigma v."""
        return model_input - model_output * per_row(sigma, model_output)

    def noise_scaling(
        self, sigma: Tensor, noise: Tensor, latent_image: Tensor, max_denoise: bool = False
    ) -> Tensor:
        """Sigma noise + (1 - sigma) latent."""
        level = per_row(torch.as_tensor(sigma), noise)
        return level * noise + (1.0 - level) * latent_image

    def inverse_noise_scaling(self, sigma: Tensor, latent: Tensor) -> Tensor:
        """Latent / (1 - sigma)."""
        return latent / (1.0 - per_row(torch.as_tensor(sigma), latent))


class _Levels(nn.Module):
    """Noise levels by `levels`, under ComfyUI's names."""

    levels: NoiseLevels
    sigma_data = 1.0

    @property
    def sigmas(self) -> Tensor:
        """The ascending table."""
        return self.levels.sigmas

    @property
    def sigma_min(self) -> Tensor:
        """The smallest level."""
        return torch.tensor(self.levels.sigma_min)

    @property
    def sigma_max(self) -> Tensor:
        """The largest level."""
        return torch.tensor(self.levels.sigma_max)

    def timestep(self, sigma: Any) -> Tensor:
        """The network's name for a level."""
        return self.levels.timestep(torch.as_tensor(sigma))

    def sigma(self, timestep: Any) -> Tensor:
        """The level of a timestep."""
        return self.levels.sigma(torch.as_tensor(timestep))

    def percent_to_sigma(self, percent: float) -> float:
        """The level after a part of the way."""
        return self.levels.percent_to_sigma(percent)


class ModelSamplingDiscrete(_Levels):
    """A list of levels that the model was trained on."""

    def __init__(self, model_config: Any = None, zsnr: bool | None = None) -> None:
        super().__init__()
        settings: dict[str, Any] = getattr(model_config, "sampling_settings", None) or {}
        self.zsnr = bool(settings.get("zsnr", False) if zsnr is None else zsnr)
        self.linear_start = settings.get("linear_start", 0.00085)
        self.linear_end = settings.get("linear_end", 0.012)
        self.num_timesteps = int(settings.get("timesteps", 1000))
        levels = scaled_linear_levels(self.num_timesteps, self.linear_start, self.linear_end, self.zsnr)
        self.levels: Any = levels

    @property
    def log_sigmas(self) -> Tensor:
        """The logarithms of the levels."""
        logs = getattr(self.levels, "log_sigmas", None)
        found: Tensor = self.levels.sigmas.log() if logs is None else logs
        return found

    def set_sigmas(self, sigmas: Tensor) -> None:
        """Take another list, ascending."""
        found = sigmas.detach().float().cpu()
        self.levels = DiscreteNoiseLevels(found, found.log())
        self.num_timesteps = len(found)


class ModelSamplingDiscreteEDM(ModelSamplingDiscrete):
    """The same, whose timesteps are EDM's."""

    def timestep(self, sigma: Any) -> Tensor:
        """1/4 log sigma."""
        return 0.25 * torch.as_tensor(sigma).log()

    def sigma(self, timestep: Any) -> Tensor:
        """e^(4 t)."""
        return (torch.as_tensor(timestep) / 0.25).exp()


class ModelSamplingContinuousEDM(_Levels):
    """Every level between two."""

    _kind: type[ContinuousNoiseLevels] = ContinuousNoiseLevels
    _range = (0.002, 120.0)

    def __init__(self, model_config: Any = None) -> None:
        super().__init__()
        settings: dict[str, Any] = getattr(model_config, "sampling_settings", None) or {}
        low, high = (
            settings.get(f"sigma_{end}", value)
            for end, value in zip(("min", "max"), self._range, strict=True)
        )
        self.set_parameters(low, high, settings.get("sigma_data", 1.0))

    def set_parameters(self, sigma_min: float, sigma_max: float, sigma_data: float) -> None:
        """Take other ends."""
        self.levels: Any = self._kind(float(sigma_min), float(sigma_max))
        self.sigma_data = sigma_data

    @property
    def log_sigmas(self) -> Tensor:
        """The logarithms of the levels in the table."""
        logs: Tensor = self.levels.sigmas.log()
        return logs


class ModelSamplingContinuousV(ModelSamplingContinuousEDM):
    """The same, whose timesteps are 2/pi atan sigma."""

    _kind = AngularNoiseLevels
    _range = (0.002, 120.0)


class ModelSamplingCosmosRFlow(ModelSamplingContinuousEDM):
    """The same, whose timesteps are those of a flow."""

    _kind = FlowTimeNoiseLevels
    _range = (0.002, 80.0)


class ModelSamplingDiscreteFlow(_Levels):
    """Levels of a rectified flow, 1/1000 to 1, shifted."""

    def __init__(self, model_config: Any = None) -> None:
        super().__init__()
        settings: dict[str, Any] = getattr(model_config, "sampling_settings", None) or {}
        self.set_parameters(shift=settings.get("shift", 1.0), multiplier=settings.get("multiplier", 1000))

    def set_parameters(self, shift: float = 1.0, timesteps: int = 1000, multiplier: float = 1000) -> None:
        """Take another shift."""
        self.shift, self.multiplier = shift, multiplier
        times = torch.arange(1, timesteps + 1, dtype=torch.float32) / timesteps
        self._table = self.sigma(times * multiplier)

    @property
    def sigmas(self) -> Tensor:
        """The ascending table."""
        return self._table

    @property
    def sigma_min(self) -> Tensor:
        """The smallest level."""
        return self._table[0]

    @property
    def sigma_max(self) -> Tensor:
        """The largest level."""
        return self._table[-1]

    def timestep(self, sigma: Any) -> Tensor:
        """Sigma times the multiplier."""
        return torch.as_tensor(sigma) * self.multiplier

    def sigma(self, timestep: Any) -> Tensor:
        """The shifted level."""
        shifted: Tensor = time_snr_shift(self.shift, torch.as_tensor(timestep) / self.multiplier)
        return shifted

    def percent_to_sigma(self, percent: float) -> float:
        """The level after a part of the way; 1 at its beginning."""
        if percent <= 0.0:
            return 1.0
        return 0.0 if percent >= 1.0 else float(time_snr_shift(self.shift, 1.0 - percent))


class ModelSamplingFlux(ModelSamplingDiscreteFlow):
    """Levels of Flux, 10,000 of them."""

    def __init__(self, model_config: Any = None) -> None:
        nn.Module.__init__(self)
        settings: dict[str, Any] = getattr(model_config, "sampling_settings", None) or {}
        self.set_parameters(shift=settings.get("shift", 1.15))

    def set_parameters(self, shift: float = 1.15, timesteps: int = 10000, multiplier: float = 1) -> None:
        """Take another shift."""
        self.shift, self.multiplier = shift, multiplier
        self._table = self.sigma(torch.arange(1, timesteps + 1, dtype=torch.float32) / timesteps)

    def sigma(self, timestep: Any) -> Tensor:
        """The shifted level."""
        shifted: Tensor = flux_time_shift(self.shift, 1.0, torch.as_tensor(timestep))
        return shifted

    def percent_to_sigma(self, percent: float) -> float:
        """The level after a part of the way; 1 at its beginning."""
        if percent <= 0.0:
            return 1.0
        return 0.0 if percent >= 1.0 else float(flux_time_shift(self.shift, 1.0, 1.0 - percent))


class _AsLevels:
    """An object of a pack's as our `NoiseLevels` and `Parametrization`."""

    def __init__(self, given: Any) -> None:
        self.given = given

    @property
    def sigmas(self) -> Tensor:
        found: Tensor = self.given.sigmas
        return found.detach().float().cpu()

    @property
    def sigma_min(self) -> float:
        return float(self.given.sigma_min)

    @property
    def sigma_max(self) -> float:
        return float(self.given.sigma_max)

    def timestep(self, sigma: Tensor) -> Tensor:
        return torch.as_tensor(self.given.timestep(sigma))

    def sigma(self, timestep: Tensor) -> Tensor:
        return torch.as_tensor(self.given.sigma(timestep))

    def percent_to_sigma(self, percent: float) -> float:
        return float(self.given.percent_to_sigma(percent))

    def scale_input(self, sigma: Tensor, x: Tensor) -> Tensor:
        scaled: Tensor = self.given.calculate_input(sigma, x)
        return scaled

    def denoised(self, sigma: Tensor, output: Tensor, x: Tensor) -> Tensor:
        found: Tensor = self.given.calculate_denoised(sigma, output, x)
        return found

    def noise_latent(self, sigma: Tensor, noise: Tensor, latent: Tensor, max_denoise: bool) -> Tensor:
        found: Tensor = self.given.noise_scaling(sigma, noise, latent, max_denoise)
        return found

    def finish(self, sigma: Tensor, x: Tensor) -> Tensor:
        found: Tensor = self.given.inverse_noise_scaling(sigma, x)
        return found


_OUTPUTS: dict[type, type[_Output]] = {
    EpsPrediction: EPS,
    VPrediction: V_PREDICTION,
    EDMPrediction: EDM,
    X0Prediction: X0,
    ImageToImage: IMG_TO_IMG,
    FlowTimePrediction: COSMOS_RFLOW,
}
_LEVELS: dict[type, type[_Levels]] = {
    ContinuousNoiseLevels: ModelSamplingContinuousEDM,
    AngularNoiseLevels: ModelSamplingContinuousV,
    FlowTimeNoiseLevels: ModelSamplingCosmosRFlow,
}


def view_of(levels: NoiseLevels, parametrization: Parametrization) -> Any:
    """Levels and parametrization of ours as packs see them."""
    kind: Any = _LEVELS.get(type(levels), ModelSamplingDiscrete)
    output: Any = _OUTPUTS.get(type(parametrization), EPS)
    made = type("ModelSampling", (kind, output), {})()
    made.levels, made.parametrization = levels, parametrization
    made.sigma_data = getattr(parametrization, "sigma_data", 1.0)
    return made


def engine_parts(sampling: Any) -> tuple[NoiseLevels, Parametrization]:
    """What an object as packs see it, or make it, is in our terms."""
    if type(sampling).__name__ == "ModelSampling" and hasattr(sampling, "levels"):
        return sampling.levels, sampling.parametrization
    # Kept with the object, so that it is the same one each time.
    both: _AsLevels = sampling.__dict__.setdefault("_engine_parts", _AsLevels(sampling))
    return both, both
