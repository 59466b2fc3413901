from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from comfykit.errors import UsageError
from comfykit.families.family import Scene
from comfykit.families.sd21_unclip import SD21_UNCLIP
from comfykit.families.sdxl import SDXL
from comfykit.families.unclip import SEED_OFFSET, image_vector
from comfykit.models.unet import UNetConfig

WIDTH = 16


def picture(strength: float = 1.0, noise: float = 0.0, batch: int = 1, width: int = WIDTH) -> dict[str, Any]:
    embeds = torch.randn(batch, width, generator=torch.Generator().manual_seed(3))
    return {
        "clip_vision_output": SimpleNamespace(image_embeds=embeds),
        "strength": strength,
        "noise_augmentation": noise,
    }


def noise(seed: int) -> Tensor:
    return torch.randn(1, WIDTH, generator=torch.Generator().manual_seed(seed + SEED_OFFSET))


def reference(embedding: Tensor, level: int, seed: int) -> Tensor:
    """Stable unCLIP as diffusers has it."""
    schedulers = pytest.importorskip("diffusers.schedulers")
    embeddings = pytest.importorskip("diffusers.models.embeddings")
    scheduler = schedulers.DDPMScheduler(num_train_timesteps=1000, beta_schedule="squaredcos_cap_v2")
    timesteps = torch.tensor([level])
    noised = scheduler.add_noise(embedding, noise(seed), timesteps)
    told = embeddings.get_timestep_embedding(timesteps, WIDTH, flip_sin_to_cos=True, downscale_freq_shift=0)
    return torch.cat((noised, told), dim=1)


@pytest.mark.parametrize(("part", "level"), [(0.0, 0), (0.2, 200), (0.5, 500), (1.0, 999)])
def test_as_diffusers(part: float, level: int) -> None:
    given = picture(noise=part)
    embedding = given["clip_vision_output"].image_embeds
    torch.testing.assert_close(
        image_vector([given], WIDTH, 7), reference(embedding, level, 7), rtol=1e-4, atol=1e-4
    )


def test_strength_scales_everything() -> None:
    whole, part = (image_vector([picture(strength=strength)], WIDTH, 7) for strength in (1.0, -0.5))
    torch.testing.assert_close(part, -0.5 * whole)


def test_a_mixture_gets_noise_once_more() -> None:
    one, other = picture(0.3), picture(0.9, 0.1)
    total = image_vector([one], WIDTH, 7) + image_vector([other], WIDTH, 7)
    expected = reference(total[:, :WIDTH], 50, 7)
    torch.testing.assert_close(image_vector([one, other], WIDTH, 7), expected, rtol=1e-4, atol=1e-4)


def test_pictures_of_a_batch_count_one_by_one() -> None:
    batch = picture(batch=2)
    singles = [
        {**batch, "clip_vision_output": SimpleNamespace(image_embeds=row[None])}
        for row in batch["clip_vision_output"].image_embeds
    ]
    assert torch.equal(image_vector([batch], WIDTH, 7), image_vector(singles, WIDTH, 7))


def test_the_seed_decides() -> None:
    first, again, other = (image_vector([picture(noise=0.5)], WIDTH, seed) for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    image_vector([picture()], WIDTH, 2**64 - 1)


def test_another_encoder_is_refused() -> None:
    with pytest.raises(UsageError, match="encoded in 20 numbers, and the model takes 16"):
        image_vector([picture(width=20)], WIDTH, 0)


def scene(channels: int) -> Scene:
    latent = torch.zeros(1, 4, 8, 8)
    return Scene(latent, latent, None, UNetConfig(adm_in_channels=channels), SDXL.latent_format, seed=7)


def test_unclip_models_are_told_of_pictures_and_zeros_without() -> None:
    told = SD21_UNCLIP.model_inputs({"unclip_conditioning": [picture()]}, 0, scene(2 * WIDTH))
    assert torch.equal(told["y"], image_vector([picture()], WIDTH, 7))
    assert torch.equal(SD21_UNCLIP.model_inputs({}, 1, scene(2 * WIDTH))["y"], torch.zeros(1, 2 * WIDTH))


def test_pictures_take_the_place_of_the_pooled_prompt_of_sdxl() -> None:
    options = {"pooled_output": torch.ones(1, WIDTH), "unclip_conditioning": [picture()]}
    y = SDXL.model_inputs(options, 0, scene(WIDTH + 6 * 256))["y"]
    assert torch.equal(y[:, :WIDTH], image_vector([picture()], WIDTH, 7)[:, :WIDTH])
    plain = SDXL.model_inputs({"pooled_output": torch.ones(1, WIDTH)}, 0, scene(WIDTH + 6 * 256))["y"]
    assert torch.equal(y[:, WIDTH:], plain[:, WIDTH:])
