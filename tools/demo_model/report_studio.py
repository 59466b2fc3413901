"""Draws pictures with the demo model through the nodes that users run, many prompts in one go."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from comfykit.errors import ComfykitError, ModelFileError
from comfykit.events import Event, Warned
from comfykit.families.components import Autoencoder, DiffusionModel, TextEncoder
from comfykit.memory import Residency
from comfykit.nodes.conditioning import clip_text_encode
from comfykit.nodes.context import NodeContext
from comfykit.nodes.latents import empty_latent_image
from comfykit.nodes.loaders import checkpoint_loader_simple
from comfykit.nodes.sampling import ksampler
from comfykit.nodes.vae import vae_decode
from comfykit.sampling.denoiser import Evaluation, Predict
from comfykit.settings import Settings, resolve

CHECKPOINT = "demo.safetensors"
BATCH = 32  # pictures of one run: more are not faster, and need more memory
SIDE = 128

Conditioning = list[list[Any]]


@dataclass(frozen=True, slots=True)
class How:
    """Everything about a run but its prompts; the defaults are the demo model's usual setting."""

    steps: int = 20
    sampler: str = "euler"
    scheduler: str = "normal"
    cfg: float = 5.0
    denoise: float = 1.0
    seed: int = 0
    width: int = SIDE
    height: int = SIDE


class Draws(Protocol):
    """Whatever makes a picture of every prompt."""

    def draw(self, prompts: Sequence[str], how: How = ..., negative: str = ...) -> list[Image.Image]:
        """The pictures, in the order of the prompts."""
        ...


@dataclass
class Counter:
    """Counts what a network is asked for: calls of any number of rows."""

    rows: int = 0

    def __call__(self, predict: Predict, call: Evaluation) -> Tensor:
        """Evaluate, and count."""
        self.rows += call.x.shape[0]
        return predict(call)


@dataclass
class Studio:
    """A loaded model, and the home that its companions are found in.

    Warnings of nodes are errors here: a file that is ignored would be measured as one that does nothing.
    """

    settings: Settings
    residency: Residency
    model: DiffusionModel
    clip: TextEncoder
    vae: Autoencoder
    counter: Counter = field(default_factory=Counter)

    @property
    def context(self) -> NodeContext:
        """What nodes are handed."""
        return _context(self.settings, self.residency)

    def need(self, kind: str, name: str) -> str:
        """The name of a model that is there; raises `ModelFileError` that says what would make it."""
        try:
            self.settings.home.find(kind, name)
        except ModelFileError as error:
            raise ModelFileError(
                str(error), hint="python tools/demo_model makes every file of the demo"
            ) from error
        return name

    def using(self, model: DiffusionModel, clip: TextEncoder | None = None) -> Studio:
        """The same studio with another model, such as one with a LoRA."""
        return replace(self, model=model, clip=clip or self.clip)

    @torch.inference_mode()
    def encode(self, prompts: Sequence[str]) -> Conditioning:
        """Prompts as one conditioning [B, 77, width], whose rows go to the pictures of a batch."""
        rows = {
            text: clip_text_encode(self.context, text, self.clip)[0][0] for text in dict.fromkeys(prompts)
        }
        return [[torch.cat([rows[text] for text in prompts]), {}]]

    @torch.inference_mode()
    def sample(
        self, positive: Conditioning, negative: Conditioning, latent: dict[str, Any], how: How
    ) -> dict[str, Any]:
        """LATENT of a batch, by KSampler."""
        wrapped = replace(self.model, wrappers=(*self.model.wrappers, self.counter))
        return ksampler(
            self.context,
            wrapped,
            how.seed,
            how.steps,
            how.cfg,
            how.sampler,
            how.scheduler,
            positive,
            negative,
            latent,
            how.denoise,
        )

    @torch.inference_mode()
    def decode(self, latent: dict[str, Any]) -> list[Image.Image]:
        """Pictures of a latent."""
        return to_pictures(vae_decode(self.context, latent, self.vae))

    @torch.inference_mode()
    def draw(self, prompts: Sequence[str], how: How = How(), negative: str = "") -> list[Image.Image]:
        """A picture of every prompt; batches of them have seeds that follow each other."""
        pictures: list[Image.Image] = []
        for number, part in enumerate(parts(prompts)):
            latent = empty_latent_image(how.width, how.height, len(part))
            one = replace(how, seed=how.seed + number)
            pictures += self.decode(self.sample(self.encode(part), self.encode([negative]), latent, one))
        return pictures


def open_studio(home: Path, device: str = "cpu", precision: str = "fp32") -> Studio:
    """The demo model: the one in a home, or that of the package."""
    settings = resolve(
        {"home": home, "output_dir": home / "models", "device": device, "precision": precision},
        environment={},
    )
    residency = Residency(device, precision)
    model, clip, vae = checkpoint_loader_simple(_context(settings, residency), CHECKPOINT)
    return Studio(settings, residency, model, clip, vae)


def parts(items: Sequence[Any], size: int = BATCH) -> list[Sequence[Any]]:
    """A sequence cut into pieces of a batch."""
    return [items[start : start + size] for start in range(0, len(items), size)]


def to_pictures(images: Tensor) -> list[Image.Image]:
    """IMAGE [B, H, W, 3] as pictures of 8 bits."""
    pixels = (images.clamp(0, 1) * 255).round().to(torch.uint8).numpy()
    return [Image.fromarray(one) for one in pixels]


def to_images(pictures: Sequence[Image.Image]) -> Tensor:
    """Pictures of one size as IMAGE [B, H, W, 3]."""
    return torch.from_numpy(np.stack([np.asarray(picture) for picture in pictures])).float() / 255


def _context(settings: Settings, residency: Residency) -> NodeContext:
    return NodeContext("report", settings, residency, _refuse_warnings, lambda: False)


def _refuse_warnings(event: Event) -> None:
    if isinstance(event, Warned):
        raise ComfykitError(event.message, hint=event.hint)
