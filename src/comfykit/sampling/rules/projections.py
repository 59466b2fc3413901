"""Guidance along, or away from, the direction of another prediction."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from comfykit.sampling.guidance import GuidanceInputs


def inner(a: Tensor, b: Tensor) -> Tensor:
    """Inner product of each picture: [batch, ...] -> [batch, 1, ...]."""
    return (a * b).sum(dim=tuple(range(1, a.ndim)), keepdim=True)


def adaptive_projected(
    inputs: GuidanceInputs, *, eta: float, norm_threshold: float, momentum: float, key: object
) -> GuidanceInputs:
    """Weaken what oversaturates: the part of guidance that is parallel to the positive prediction.

    "Eliminating Oversaturation and Artifacts of High Guidance Scales", arXiv 2410.02416. The
    difference c - u, averaged over the steps with `momentum` and no longer than `norm_threshold` (0 for any
    length), is split in a part parallel to c, which counts `eta` times, and the rest. Remembers the
    average under `key`.
    """
    if not inputs.has_negative or inputs.cfg == 0:
        return inputs
    difference = inputs.positive - inputs.negative
    if momentum:
        difference = difference + momentum * inputs.memory.get(key, 0.0)
        inputs.memory[key] = difference
    if norm_threshold > 0:
        length = inner(difference, difference).sqrt()
        difference = difference * (norm_threshold / length).clamp(max=1.0)
    direction = torch.nn.functional.normalize(inputs.positive.flatten(1).double()).reshape(difference.shape)
    parallel = (inner(difference.double(), direction) * direction).to(difference)
    update = difference - parallel + eta * parallel
    # What makes of classifier-free guidance c + w * update.
    positive = inputs.negative + update + (inputs.positive - inputs.negative) / inputs.cfg
    return replace(inputs, positive=positive)


def tangential(inputs: GuidanceInputs) -> GuidanceInputs:
    """Remove from the negative prediction what is tangential to what both sides agree on.

    Predicted noises, x minus the prediction, are meant: the negative one is projected onto the first right
    singular vector of both ("TCFG: Tangential Damping Classifier-free Guidance", arXiv 2503.18137).
    """
    if not inputs.has_negative:
        return inputs
    positive, negative = (inputs.x - part for part in (inputs.positive, inputs.negative))
    both = torch.stack((positive.flatten(1), negative.flatten(1)), dim=1).float()
    _, _, directions = torch.linalg.svd(both, full_matrices=False)
    common = directions[:, 0].reshape(negative.shape)
    projected = inner(negative.float(), common) * common
    return replace(inputs, negative=inputs.x - projected.to(negative))


def zero_star(guided: Tensor, inputs: GuidanceInputs) -> Tensor:
    """Guide away from the best multiple of the negative prediction.

    b u + w (c - b u), where b is the multiple of the negative noise, x - u, that is nearest to the positive
    one ("CFG-Zero*", arXiv 2503.18886).
    """
    positive, negative = inputs.x - inputs.positive, inputs.x - inputs.negative
    best = inner(positive, negative) / (inner(negative, negative) + 1e-8)
    return guided + (best - 1.0) * (1.0 - inputs.cfg) * inputs.negative


def perpendicular_negative(inputs: GuidanceInputs, *, neg_scale: float, empty: int) -> Tensor:
    """Guide away from only that part of the negative prompt that is perpendicular to the positive one.

    e + w ((c - e) - neg_scale n), where n is the part of u - e perpendicular to c - e, and e the prediction
    for an empty prompt, `inputs.further[empty]` ("Perp-Neg", arXiv 2304.04968).
    """
    base = inputs.further[empty]
    positive, negative = inputs.positive - base, inputs.negative - base
    # Over the whole batch, as the authors' code has it: pictures of a batch share the factor.
    parallel = (negative * positive).sum() / (positive * positive).sum() * positive
    return base + inputs.cfg * (positive - neg_scale * (negative - parallel))
