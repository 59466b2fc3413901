"""The loop that every network of the demo model is trained with: seeded, resumable, averaged."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

SAVE_EVERY = 60.0  # seconds
SAY_EVERY = 100  # steps


@dataclass(frozen=True, slots=True)
class Plan:
    """How long and how fast a network learns.

    The learning rate rises over `warmup` steps and then falls to nothing along a half cosine.
    `average` is the decay of the exponential moving average of the weights, which is what is kept.
    """

    steps: int
    rate: float
    warmup: int = 200
    average: float = 0.999
    weight_decay: float = 0.0

    def rate_at(self, step: int) -> float:
        """Learning rate of a step, counted from 0."""
        if step < self.warmup:
            return self.rate * (step + 1) / self.warmup
        done = (step - self.warmup) / max(1, self.steps - self.warmup)
        return self.rate * 0.5 * (1 + math.cos(math.pi * min(1.0, done)))

    def average_at(self, step: int) -> float:
        """Decay of the average at a step: shorter memory at first, so that the beginning is forgotten."""
        return min(self.average, (1 + step) / (10 + step))


@dataclass(frozen=True, slots=True)
class Draw:
    """The chances of one step. They depend on the seed, the stage and the step alone."""

    step: int
    random: Random
    noise: torch.Generator

    def normal(self, *shape: int) -> Tensor:
        """Standard normal numbers, drawn on the CPU."""
        return torch.randn(shape, generator=self.noise)

    def uniform(self, *shape: int) -> Tensor:
        """Numbers from 0 to 1, drawn on the CPU."""
        return torch.rand(shape, generator=self.noise)


def train(
    name: str,
    network: nn.Module,
    plan: Plan,
    loss_of: Callable[[Draw], Tensor],
    folder: Path,
    seed: int,
) -> nn.Module:
    """Train the parameters of `network` that ask for gradients; returns it with their averages in place.

    Goes on where an earlier call for the same folder was interrupted, and returns at once where it ended.
    """
    trained = {key: value for key, value in network.named_parameters() if value.requires_grad}
    optimizer = torch.optim.AdamW(
        trained.values(), lr=plan.rate, betas=(0.9, 0.99), weight_decay=plan.weight_decay
    )
    average = {key: value.detach().clone() for key, value in trained.items()}
    path = folder / f"{name}.state.pt"
    step = _resume(path, trained, average, optimizer)
    began = saved = time.monotonic()
    first, recent = step, 0.0
    while step < plan.steps:
        for group in optimizer.param_groups:
            group["lr"] = plan.rate_at(step)
        chances = f"{seed} {name} {step}"
        draw = Draw(step, Random(chances), torch.Generator().manual_seed(Random(chances).getrandbits(63)))
        loss = loss_of(draw)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained.values(), 1.0)
        optimizer.step()
        decay = plan.average_at(step)
        torch._foreach_lerp_(list(average.values()), [p.detach() for p in trained.values()], 1 - decay)
        step += 1
        recent += float(loss.detach())
        if step % SAY_EVERY == 0:
            pace = (time.monotonic() - began) / (step - first)
            left = (plan.steps - step) * pace / 60
            print(
                f"{name} {step}/{plan.steps}: loss {recent / SAY_EVERY:.5f}, {left:.1f} minutes left",
                flush=True,
            )
            recent = 0.0
        if time.monotonic() - saved > SAVE_EVERY or step == plan.steps:
            _save(path, step, trained, average, optimizer)
            saved = time.monotonic()
    with torch.no_grad():
        for key, value in trained.items():
            value.copy_(average[key])
    return network


def _save(
    path: Path,
    step: int,
    trained: dict[str, nn.Parameter],
    average: dict[str, Tensor],
    optimizer: torch.optim.Optimizer,
) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".part")
    weights = {key: value.detach() for key, value in trained.items()}
    torch.save(
        {"step": step, "weights": weights, "average": average, "optimizer": optimizer.state_dict()}, partial
    )
    partial.replace(path)


def _resume(
    path: Path, trained: dict[str, nn.Parameter], average: dict[str, Tensor], optimizer: torch.optim.Optimizer
) -> int:
    """The step that an earlier run came to, and its state put in place; 0 where there was none."""
    if not path.exists():
        return 0
    state = torch.load(path, weights_only=True)
    with torch.no_grad():
        for key, value in trained.items():
            value.copy_(state["weights"][key])
            average[key].copy_(state["average"][key])
    optimizer.load_state_dict(state["optimizer"])
    return int(state["step"])


@contextmanager
def half_precision(device: torch.device) -> Iterator[None]:
    """Compute in bfloat16 where it is safe.

    Attention is computed by plain matrix products: at these sizes the fused kernel's backward pass on a
    CPU takes twice as long as the rest of the network.
    """
    with torch.autocast(device.type, torch.bfloat16), sdpa_kernel(SDPBackend.MATH):
        yield
