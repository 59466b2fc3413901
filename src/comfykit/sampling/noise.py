"""Where noise comes from: the noise a run begins with, and the noise that some samplers add on the way."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol, TypeAlias

import torch
from torch import Tensor

from comfykit.errors import UsageError

if TYPE_CHECKING:
    import torchsde

SEEDS = 2**64
_TREE_DIGITS = 6  # the tree resolves times to 1e-6 and warns about ones it has to move


class StepNoise(Protocol):
    """Noise that a sampler adds on the way."""

    def __call__(self, sigma: float, sigma_next: float) -> Tensor:
        """Noise of variance 1 in x's shape, for the step from `sigma` down to `sigma_next`."""
        ...


NoiseSource: TypeAlias = Callable[[Tensor, Tensor, int], StepNoise]
"""Makes the noise of a run from its x, its sigmas and its seed."""


def initial_noise(latent: Tensor, seed: int, batch_index: Sequence[int] | None = None) -> Tensor:
    """Noise in the latent's shape and dtype that is the same on every machine: it is drawn on the CPU.

    With `batch_index` each picture gets the noise that it would have at that place of a larger batch, so
    that one picture of a batch can be made again alone; equal places share theirs.

    It is the *global* generator that is seeded, as later draws (token merging) go on from the state that
    this one leaves. Raises `UsageError` when `batch_index` does not name one place per picture.
    """
    generator = torch.manual_seed(seed)
    if batch_index is None:
        return _draw(latent.shape, latent.dtype, generator)
    if len(batch_index) != latent.shape[0] or min(batch_index, default=0) < 0:
        raise UsageError(
            f"batch_index {list(batch_index)} does not name one place for each of {latent.shape[0]} latents",
            batch_index=list(batch_index),
        )
    wanted: dict[int, Tensor] = {}
    for place in range(max(batch_index) + 1):
        drawn = _draw((1, *latent.shape[1:]), latent.dtype, generator)
        if place in batch_index:
            wanted[place] = drawn
    return torch.cat([wanted[place] for place in batch_index])


class RandnNoise:
    """Independent noise for each step, from one generator on x's device.

    The generator begins at the run's seed, so that on the CPU the first step draws what the initial
    noise drew. Pictures depend on it: a generator on another kind of device draws other numbers.
    """

    def __init__(self, x: Tensor, seed: int) -> None:
        self._shape, self._dtype = x.shape, x.dtype
        self._generator = torch.Generator(device=x.device).manual_seed(seed)

    def __call__(self, sigma: float, sigma_next: float) -> Tensor:
        """The next draw; the levels do not matter."""
        return _draw(self._shape, self._dtype, self._generator)


class BrownianNoise:
    """Noise as the increments of one Brownian motion whose time is sigma.

    The noise between two levels is the same however a schedule divides the way there, so that pictures
    converge as steps are added. The tree lies between two levels and is drawn on x's device or,
    with `cpu`, on the CPU: then it is the same on every machine.
    """

    def __init__(self, x: Tensor, sigma_min: float, sigma_max: float, seed: int, cpu: bool) -> None:
        self._device = x.device
        self._tree = _brownian_tree(x.cpu() if cpu else x, sigma_min, sigma_max, seed)

    def __call__(self, sigma: float, sigma_next: float) -> Tensor:
        """The increment from the larger to the smaller level, divided by the root of their distance."""
        early, late = sorted((round(sigma, _TREE_DIGITS), round(sigma_next, _TREE_DIGITS)))
        increment: Tensor = self._tree(early, late) / abs(sigma_next - sigma) ** 0.5
        return (increment if sigma <= sigma_next else -increment).to(self._device)


def no_noise(x: Tensor, sigmas: Tensor, seed: int) -> StepNoise:
    """For samplers of the ODE, which ask for none."""

    def zeros(sigma: float, sigma_next: float) -> Tensor:
        return torch.zeros_like(x)

    return zeros


def randn_noise(x: Tensor, sigmas: Tensor, seed: int) -> StepNoise:
    """For ancestral samplers."""
    return RandnNoise(x, seed)


def brownian_noise(x: Tensor, sigmas: Tensor, seed: int) -> StepNoise:
    """For SDE samplers, the same on every machine."""
    return _brownian(x, sigmas, seed, cpu=True)


def brownian_noise_on_device(x: Tensor, sigmas: Tensor, seed: int) -> StepNoise:
    """For SDE samplers, drawn where x lies: no copies, other pictures on other kinds of device."""
    return _brownian(x, sigmas, seed, cpu=False)


def _brownian(x: Tensor, sigmas: Tensor, seed: int, cpu: bool) -> StepNoise:
    positive = sigmas[sigmas > 0]
    low, high = float(positive.min()), float(positive.max())
    # One level leaves no interval to build a tree on, and its only step leads to 0, where none is asked for.
    return no_noise(x, sigmas, seed) if low == high else BrownianNoise(x, low, high, seed, cpu)


def _draw(shape: Sequence[int], dtype: torch.dtype, generator: torch.Generator) -> Tensor:
    return torch.randn(shape, dtype=dtype, generator=generator, device=generator.device)


def _brownian_tree(x: Tensor, start: float, end: float, seed: int) -> torchsde.BrownianTree:
    """A Brownian motion on [start, end] in the shape, dtype and place of x that depends on the seed alone."""
    import torchsde  # imports scipy, which takes a moment

    return torchsde.BrownianTree(start, torch.zeros_like(x), end, entropy=seed)
