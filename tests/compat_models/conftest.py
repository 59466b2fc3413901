from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

import tiny_models
from comfykit.compat import border, modules, placing
from comfykit.families import guiders
from comfykit.families.load import Checkpoint, assembled
from comfykit.memory import Residency
from comfykit.sampling.noise import initial_noise
from comfykit.sampling.samplers import SamplerSpec, find_sampler
from comfykit.sampling.schedulers import make_sigmas
from comfykit.weights.detect import detect
from comfykit.weights.read import WeightsFile

SEED = 5


@pytest.fixture(autouse=True)
def _by_public_names() -> Iterator[None]:
    modules.install()
    yield
    modules.remove()


@pytest.fixture(autouse=True)
def _inference() -> Iterator[None]:
    with torch.inference_mode():
        yield


@pytest.fixture(autouse=True)
def residency() -> Iterator[Residency]:
    made = Residency("cpu", "fp32")
    with placing.using(made):
        yield made


@pytest.fixture(scope="module")
def checkpoint() -> Checkpoint:
    with torch.inference_mode(False):
        file = WeightsFile(Path("tiny"), tiny_models.sd15(), {})
        return assembled(file, detect(file.shapes))


class Bench:
    """A tiny model in our hands and in a pack's, with prompts and a latent."""

    def __init__(self, checkpoint: Checkpoint, residency: Residency) -> None:
        self.checkpoint, self.residency = checkpoint, residency
        self.model: Any = border.to_pack(checkpoint.model)
        self.clip: Any = border.to_pack(checkpoint.clip)
        self.vae: Any = border.to_pack(checkpoint.vae)
        self.positive = self.clip.encode_from_tokens_scheduled(self.clip.tokenize("a red house"))
        self.negative = self.clip.encode_from_tokens_scheduled(self.clip.tokenize(""))
        self.latent = torch.zeros(1, 4, 4, 4)

    @property
    def noise(self) -> torch.Tensor:
        return initial_noise(self.latent, SEED)

    def engine(
        self,
        model: Any = None,
        sampler: str | SamplerSpec = "euler",
        cfg: float = 5.0,
        steps: int = 2,
        mask: torch.Tensor | None = None,
        guider: Any = None,
    ) -> torch.Tensor:
        """The latent that our KSampler makes with a model of ours."""
        model = self.checkpoint.model if model is None else model
        positive, negative = (border.to_engine(side) for side in (self.positive, self.negative))
        name = sampler if isinstance(sampler, str) else ""
        return guiders.sample(
            guider or guiders.CFGGuider(model, positive, negative, cfg),
            self.residency,
            samples=self.latent,
            noise=self.noise,
            sampler=find_sampler(sampler) if isinstance(sampler, str) else sampler,
            sigmas=make_sigmas(model.levels, "normal", steps, 1.0, name),
            seed=SEED,
            mask=mask,
        ).samples

    def pack(
        self,
        model: Any = None,
        sampler: str = "euler",
        cfg: float = 5.0,
        steps: int = 2,
        mask: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """The latent that a pack makes by `comfy.sample.sample`."""
        import comfy.sample

        found: torch.Tensor = comfy.sample.sample(
            self.model if model is None else model,
            comfy.sample.prepare_noise(self.latent, SEED),
            steps,
            cfg,
            sampler,
            "normal",
            self.positive,
            self.negative,
            self.latent,
            noise_mask=mask,
            seed=SEED,
        )
        return found


@pytest.fixture
def bench(checkpoint: Checkpoint, residency: Residency) -> Bench:
    return Bench(checkpoint, residency)
