from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from comfykit.errors import ModelFileError
from comfykit.families import looks
from comfykit.families.looks import Look
from comfykit.families.preview import LinearPreview, TinyPreview, find_previewer
from comfykit.families.sd15 import SD15
from comfykit.families.sdxl import SDXL
from comfykit.home import Home
from comfykit.models.taesd import tiny_decoder

SD_FORM = SD15.latent_format


def write_decoder(home: Home, name: str, channels: int = 4, width: int = 8) -> None:
    path = home.models / "vae_approx" / f"{name}.safetensors"
    path.parent.mkdir(parents=True, exist_ok=True)
    with torch.inference_mode(False):
        torch.manual_seed(channels)
        save_file(tiny_decoder(width, channels).half().state_dict(), path)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


def latent(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(1))


def test_a_linear_preview_is_a_sum_over_channels() -> None:
    preview = LinearPreview(((0.5, 0.0, 0.0), (0.0, 0.25, 0.0)), (0.5, 0.5, 0.0))
    given = torch.tensor([[[0.0, 1.0, 9.0]], [[0.0, -1.0, 0.0]]])
    expected = torch.tensor([[[0.5, 0.5, 0.0], [1.0, 0.25, 0.0], [1.0, 0.5, 0.0]]])
    assert torch.equal(preview(given, 64), expected)


def test_a_linear_preview_fits_into_the_side_that_is_asked_for() -> None:
    preview = LinearPreview(looks.SD.rgb, looks.SD.bias)
    given = latent(4, 8, 6)
    assert preview(given, 64).shape == (8, 6, 3)
    assert preview(given, 4).shape == (4, 3, 3)
    means = torch.nn.functional.avg_pool2d(given[None], 2)[0]
    torch.testing.assert_close(preview(given, 4), preview(means, 64))


def test_a_tiny_decoder_shows_latents_in_the_scale_of_the_model(home: Home) -> None:
    write_decoder(home, "taesd_decoder")
    preview = find_previewer(SD_FORM, home, "auto")
    assert isinstance(preview, TinyPreview)
    torch.manual_seed(4)
    network = tiny_decoder(8, 4).half().float()
    given = latent(4, 4, 6)
    expected = network(given[None])[0].movedim(0, -1).clamp(0, 1)
    assert expected.shape == (32, 48, 3)
    torch.testing.assert_close(preview(given, 48), expected)
    assert preview(given, 24).shape == (16, 24, 3)
    assert preview(given.half(), 24).dtype == torch.float32


def test_each_kind_of_latents_has_its_own_decoder(home: Home) -> None:
    for name in ("demo_taesd_decoder", "taesdxl_decoder"):
        write_decoder(home, name)
    own = replace(SD_FORM, look=Look("demo_taesd_decoder.safetensors"))
    assert isinstance(find_previewer(own, home, "auto"), TinyPreview)
    assert isinstance(find_previewer(SDXL.latent_format, home, "taesd"), TinyPreview)
    assert isinstance(find_previewer(SD_FORM, home, "auto"), LinearPreview)
    assert find_previewer(SD_FORM, home, "taesd") is None
    assert isinstance(find_previewer(SDXL.latent_format, home, "latent2rgb"), LinearPreview)
    assert find_previewer(own, home, "latent2rgb") is None


def test_a_decoder_of_other_latents_does_not_fit(home: Home) -> None:
    write_decoder(home, "taesd_decoder", channels=16)
    assert find_previewer(SD_FORM, home, "taesd") is None
    assert isinstance(find_previewer(SD_FORM, home, "auto"), LinearPreview)


def test_a_file_that_is_no_decoder_says_so(home: Home) -> None:
    path = home.models / "vae_approx" / "taesd_decoder.safetensors"
    path.parent.mkdir(parents=True)
    save_file({"x": torch.zeros(1)}, path)
    with pytest.raises(ModelFileError, match="holds no decoder of a tiny VAE"):
        find_previewer(SD_FORM, home, "auto")
