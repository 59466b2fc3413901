from __future__ import annotations

import torch

from comfykit.families.load import Checkpoint
from comfykit.memory import Residency
from comfykit.sampling.denoiser import Evaluation


def test_a_predictor_denoises_at_the_level_it_is_told(checkpoint: Checkpoint, residency: Residency) -> None:
    model = checkpoint.model
    context = torch.zeros(1, 77, checkpoint.model.network.config.context_dim)
    x = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(1))

    def predict(sigma: float) -> torch.Tensor:
        return model.predictor(residency)(Evaluation(x, torch.tensor([sigma]), context, {}))

    assert predict(1.0).shape == x.shape
    # Next to no noise: the prediction of a clean latent is x itself.
    torch.testing.assert_close(predict(1e-4), x, atol=1e-2, rtol=0)
    assert not torch.allclose(predict(10.0), x, atol=0.5)


def test_prompts_are_embedded_and_the_layer_matters(checkpoint: Checkpoint, residency: Residency) -> None:
    clip = checkpoint.clip
    last = clip.encode("a fox", residency)
    assert last.embedding.shape == (1, 77, checkpoint.model.network.config.context_dim)
    assert last.pooled.shape == (1, checkpoint.model.network.config.context_dim)
    earlier = clip.with_layer(-2).encode("a fox", residency)
    assert not torch.allclose(last.embedding, earlier.embedding)
    assert torch.equal(last.pooled, earlier.pooled)
    assert clip.encode("fox " * 100, residency).embedding.shape[1] == 154


def test_pictures_go_to_latents_and_back(checkpoint: Checkpoint, residency: Residency) -> None:
    pixels = torch.rand(2, 32, 48, 3, generator=torch.Generator().manual_seed(1))
    latent = checkpoint.vae.encode(pixels, residency)
    assert latent.shape == (2, 4, 4, 6)
    found = checkpoint.vae.decode(latent, residency)
    assert found.shape == pixels.shape
    assert 0.0 <= float(found.min()) <= float(found.max()) <= 1.0


def test_margins_and_alpha_are_left_out_of_a_latent(checkpoint: Checkpoint, residency: Residency) -> None:
    pixels = torch.rand(1, 37, 45, 4, generator=torch.Generator().manual_seed(1))
    cropped = pixels[:, 2:34, 2:42, :3]
    found = checkpoint.vae.encode(pixels, residency)
    assert torch.equal(found, checkpoint.vae.encode(cropped, residency))
