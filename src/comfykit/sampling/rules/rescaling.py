"""Guidance that does not grow the prediction: it is brought back to the size of the positive side's."""

from __future__ import annotations

import torch
from torch import Tensor

from comfykit.sampling.guidance import GuidanceInputs, classifier_free
from comfykit.sampling.parametrization import per_row


def rescaled(inputs: GuidanceInputs, *, multiplier: float) -> Tensor:
    """Classifier-free guidance with the standard deviation of the positive side.

    multiplier * g std(c) / std(g) + (1 - multiplier) * g, picture by picture, where c and g are velocities
    whatever the network predicts ("Common Diffusion Noise Schedules and Sample Steps are Flawed", arXiv
    2305.08891, section 3.4).
    """
    level = per_row(inputs.sigma, inputs.x)
    variance = level**2 + 1
    mean, spread = inputs.x / variance, level / variance.sqrt()
    # The velocity v of a prediction D: D = x / (s^2 + 1) - v s / sqrt(s^2 + 1).
    positive, guided = ((mean - part) / spread for part in (inputs.positive, classifier_free(inputs)))
    axes = tuple(range(1, guided.ndim))
    ratio = positive.std(dim=axes, keepdim=True) / guided.std(dim=axes, keepdim=True)
    return mean - spread * guided * (multiplier * ratio + (1 - multiplier))


def renormalized(inputs: GuidanceInputs, *, cfg_trunc: float, renorm_cfg: float) -> Tensor:
    """Classifier-free guidance whose length is at most `renorm_cfg` times the positive side's.

    At sigma `cfg_trunc` and above there is no guidance; 0 sets no limit to the length ("Lumina-Image 2.0",
    arXiv 2503.21758).
    """
    if float(inputs.sigma[0]) >= cfg_trunc:
        return inputs.positive
    guided = classifier_free(inputs)
    if renorm_cfg <= 0:
        return guided
    axes = tuple(range(1, guided.ndim))
    longest = renorm_cfg * torch.linalg.vector_norm(inputs.positive, dim=axes, keepdim=True)
    length = torch.linalg.vector_norm(guided, dim=axes, keepdim=True)
    limited: Tensor = guided * (longest / length).clamp(max=1.0)
    return limited


def channels_renormalized(guided: Tensor, inputs: GuidanceInputs, *, strength: float) -> Tensor:
    """The guided prediction, times `strength`, with vectors of channels no longer than the positive side's.

    "Emerging Properties in Unified Multimodal Pretraining" (BAGEL), arXiv 2505.14683, its renormalization
    by channel.
    """
    wanted = inputs.positive.norm(dim=1, keepdim=True)
    ratio: Tensor = wanted / (guided.norm(dim=1, keepdim=True) + 1e-8)
    return guided * ratio.clamp(0.0, 1.0) * strength
