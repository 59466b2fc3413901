"""Trains the demo model's text encoder and U-Net together to predict the noise in latents.

"Denoising Diffusion Probabilistic Models" (Ho et al. 2020), algorithm 1, with SD 1.x's noise schedule;
captions are dropped now and then for guidance ("Classifier-Free Diffusion Guidance", Ho and Salimans
2022). The error of the picture counts by its signal-to-noise ratio within limits, from above as in
"Efficient Diffusion Training via Min-SNR Weighting Strategy" (Hang et al. 2023), from below as in
"Progressive Distillation for Fast Sampling of Diffusion Models" (Salimans and Ho 2022, section 4).

Even the most noise of SD 1.x's schedule lets through what is large in a picture, the background and which
shape lies where: a network learns to see it there instead of reading it, and then paints what the noise
of a sampler happens to suggest ("Common Diffusion Noise Schedules and Sample Steps are Flawed", Lin et
al. 2023). Their cure is another schedule. Here the mean is drowned as well ("Diffusion with Offset Noise",
Guttenberg 2023), and at the highest levels part of the pictures are replaced by noise altogether, as
samplers begin with.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random

import torch
from PIL import Image
from torch import Tensor, nn

from captions import caption
from comfykit.families.sd15 import SD15
from comfykit.models.vae import AutoencoderKL
from comfykit.sampling.noise_levels import scaled_linear_levels
from drawing import draw
from networks import pictures_to_tensor, read_text, text_encoder, unet
from reading import teach_reading
from scenes import Scene, random_scene
from training import Draw, Plan, half_precision, train
from words import Words, words_of_captions

PLAN = Plan(steps=6_000, rate=1.2e-3, warmup=300, average=0.999)
# Then once more from the averages, gently: outlines get even, and points of stars sharp.
POLISH = Plan(steps=2_400, rate=6e-4, warmup=100, average=0.999)
BATCH = 64
SIDE = 128
UNCONDITIONED = 0.1  # part of the captions that are dropped
LEAST_SNR, MOST_SNR = 0.2, 5.0
OFFSET = 0.2  # deviation of the noise that all pixels of a channel share
HIDDEN, HIDDEN_LEVELS = 0.15, 50  # part of the pictures that noise replaces, and at how many levels
# Once shapes are known, most are hidden for a while: which shape lies where is learned then.
PLACES, PLACES_HIDDEN = range(2_000, 3_000), 0.7

# Scenes are encoded in blocks, and a block is used for so many steps before the next takes its place.
BLOCK, BLOCK_STEPS = 2048, 256

# The rest of the steps see pictures of other sizes: parts of pictures for prompts of regions, larger ones
# for second passes.
SQUARE_PART, LARGE_PART = 0.9, 0.02
SIDES, LARGE_SIDES = (48, 64, 80, 96, 128), (160, 192, 256)


class TextToNoise(nn.Module):
    """The text encoder and the U-Net."""

    def __init__(self, words: int) -> None:
        super().__init__()
        self.text = text_encoder(words)
        self.unet = unet()

    def context(self, rows: Tensor) -> Tensor:
        """What the U-Net attends to [B, 77, width], of rows of the short table of words [B, 77]."""
        return read_text(self.text, self.text.embed(rows))


@dataclass(frozen=True, slots=True)
class Disturbed:
    """Latents [B, 4, h, w] with noise, the noise that a network is to find in them, and their levels [B]."""

    latents: Tensor
    noise: Tensor
    timesteps: Tensor


class Noise:
    """SD 1.x's noise schedule, as training needs it."""

    def __init__(self, device: torch.device) -> None:
        sigmas = scaled_linear_levels().sigmas.to(device)
        self.abar = 1 / (sigmas.square() + 1)

    def disturb(self, chances: Draw, latents: Tensor, hidden_part: float = HIDDEN) -> Disturbed:
        """Noise added to latents [B, 4, h, w], at a level for each of them; some are all noise."""
        batch, channels = latents.shape[:2]
        noise = chances.normal(*latents.shape) + OFFSET * chances.normal(batch, channels, 1, 1)
        timesteps = (chances.uniform(batch) * len(self.abar)).long()
        hidden = chances.uniform(batch) < hidden_part
        highest = (len(self.abar) - HIDDEN_LEVELS + chances.uniform(batch) * HIDDEN_LEVELS).long()
        nothing = chances.normal(*latents.shape).to(latents.device)
        timesteps = torch.where(hidden, highest, timesteps).to(latents.device)
        hidden = hidden.to(latents.device)[:, None, None, None]
        kept, added = (part[:, None, None, None] for part in self._parts(timesteps))
        noisy = torch.where(hidden, nothing, kept * latents + added * noise.to(latents.device))
        return Disturbed(noisy, (noisy - kept * latents) / added, timesteps)

    def _parts(self, timesteps: Tensor) -> tuple[Tensor, Tensor]:
        """How much of the latents and of the noise is in their sum: `sqrt(abar)` and `sqrt(1 - abar)`."""
        abar = self.abar[timesteps]
        return abar.sqrt(), (1 - abar).sqrt()

    def loss(self, predicted: Tensor, disturbed: Disturbed) -> Tensor:
        """Squared error of the noise, weighed by the limited SNR over the SNR itself."""
        abar = self.abar[disturbed.timesteps]
        snr = abar / (1 - abar)
        error = (predicted.float() - disturbed.noise).square().mean((1, 2, 3))
        return (error * snr.clamp(LEAST_SNR, MOST_SNR) / snr).mean()


@dataclass(frozen=True, slots=True)
class Batch:
    """Scaled latents [B, 4, h, w] and the captions of what is in them."""

    latents: Tensor
    captions: list[str]


Painter = Callable[[Scene, int, int, Random], Image.Image]


def flat(scene: Scene, width: int, height: int, random: Random) -> Image.Image:
    """A scene as the model itself is to draw it."""
    return draw(scene, width, height, random=random)


class Scenes:
    """Latents of scenes, encoded as they are needed."""

    def __init__(self, vae: AutoencoderKL, seed: int, device: torch.device) -> None:
        self._vae, self._seed, self._device = vae, seed, device
        self.downscale = vae.downscale
        self._number, self._scenes, self._latents = -1, list[Scene](), torch.empty(0)

    def batch(self, chances: Draw) -> Batch:
        """Scenes of one step: mostly squares of the usual size."""
        random, which = chances.random, chances.random.random()
        if which < SQUARE_PART:
            self._turn_to(chances.step // BLOCK_STEPS)
            chosen = random.sample(range(BLOCK), BATCH)
            return Batch(self._latents[chosen], self._captions([self._scenes[i] for i in chosen], random))
        if which < SQUARE_PART + LARGE_PART:
            width = height = random.choice(LARGE_SIDES)
        else:
            width, height = random.choice(SIDES), random.choice(SIDES)
        # A step costs about the same at every size, as these are neither stored nor compiled.
        count = max(8, min(BATCH, BATCH * SIDE * SIDE // (2 * width * height)))
        shapes = None if min(width, height) >= SIDE else random.choices((0, 1), (1, 9))[0]
        scenes = [random_scene(random, shapes) for _ in range(count)]
        return Batch(self.encode(scenes, random, width, height), self._captions(scenes, random))

    def encode(
        self,
        scenes: list[Scene],
        random: Random,
        width: int = SIDE,
        height: int = SIDE,
        paint: Painter = flat,
    ) -> Tensor:
        """Scaled latents [B, 4, height / 8, width / 8] of scenes."""
        parts = []
        for begin in range(0, len(scenes), 16):
            pictures = [paint(scene, width, height, random) for scene in scenes[begin : begin + 16]]
            with torch.no_grad(), half_precision(self._device):
                parts.append(self._vae.to_latent(pictures_to_tensor(pictures).to(self._device)))
        return torch.cat(parts) * SD15.latent_format.scale

    def _turn_to(self, number: int) -> None:
        if number != self._number:
            random = Random(f"{self._seed} block {number}")
            self._scenes = [random_scene(random) for _ in range(BLOCK)]
            self._latents, self._number = self.encode(self._scenes, random), number

    def _captions(self, scenes: list[Scene], random: Random) -> list[str]:
        return ["" if random.random() < UNCONDITIONED else caption(scene, random) for scene in scenes]


def train_diffusion(
    vae: AutoencoderKL, folder: Path, seed: int, device: torch.device, *, compiled: bool
) -> tuple[TextToNoise, Words]:
    """A text encoder and a U-Net that draw scenes in the latents of `vae`.

    `compiled` runs the U-Net at its usual size through torch.compile, which needs a C++ compiler and takes
    half of the time.
    """
    torch.manual_seed(seed + 1)
    words = words_of_captions()
    network, scenes = TextToNoise(len(words.ids)).to(device), Scenes(vae, seed, device)
    teach_reading(network.text, words, folder, seed, device)
    _train("diffusion", PLAN, network, words, scenes, folder, seed, device, compiled=compiled)
    others = Scenes(vae, seed + 1000, device)  # steps are counted anew, and would see the same scenes again
    polish(network, words, others, folder, seed, device, compiled=compiled)
    return network, words


def polish(
    network: TextToNoise,
    words: Words,
    scenes: Scenes,
    folder: Path,
    seed: int,
    device: torch.device,
    *,
    compiled: bool,
) -> None:
    """Train what draws already once more; it does not learn any more afterwards."""
    network.requires_grad_(True).train()
    _train("polish", POLISH, network, words, scenes, folder, seed, device, compiled=compiled)
    network.eval().requires_grad_(False)


def _train(
    name: str,
    plan: Plan,
    network: TextToNoise,
    words: Words,
    scenes: Scenes,
    folder: Path,
    seed: int,
    device: torch.device,
    *,
    compiled: bool,
) -> None:
    noise_of = Noise(device)
    fast = torch.compile(network.unet) if compiled else network.unet
    usual = (BATCH, 4, SIDE // scenes.downscale, SIDE // scenes.downscale)

    def loss_of(chances: Draw) -> Tensor:
        batch = scenes.batch(chances)
        places = plan is PLAN and chances.step in PLACES
        seen = noise_of.disturb(chances, batch.latents, PLACES_HIDDEN if places else HIDDEN)
        with half_precision(device):
            context = network.context(words.encode(batch.captions).to(device))
            predict = fast if batch.latents.shape == usual else network.unet
            predicted = predict(seen.latents, seen.timesteps, context)
        return noise_of.loss(predicted, seen)

    train(name, network, plan, loss_of, folder, seed)
