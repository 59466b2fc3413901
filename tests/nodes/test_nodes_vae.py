from __future__ import annotations

from dataclasses import dataclass, field

import pytest
import torch
from nodes_support import Run
from torch import Tensor

from comfykit.events import NodeProgress
from comfykit.families.components import Autoencoder
from comfykit.models.pixel_space import PixelSpace
from comfykit.models.taesd import TAESD, TAESDConfig
from comfykit.nodes.vae import vae_decode, vae_decode_tiled, vae_encode, vae_encode_tiled

VAE = Autoencoder(TAESD(TAESDConfig(width=8)).eval().requires_grad_(False))


class Hungry(PixelSpace):
    """Has memory for a number of pixels at once."""

    def decode(self, z: Tensor) -> Tensor:
        if z.shape[-1] * z.shape[-2] > 512 * 512:
            raise torch.OutOfMemoryError
        return z

    def to_latent(self, pixels: Tensor) -> Tensor:
        return self.decode(pixels)


@dataclass
class Marking(PixelSpace):
    """Notes the sizes of what it is given."""

    seen: list[tuple[int, ...]] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()

    __hash__ = PixelSpace.__hash__

    def decode(self, z: Tensor) -> Tensor:
        self.seen.append(tuple(z.shape))
        return z


def test_tiles_that_hold_the_whole_picture_change_nothing(run: Run) -> None:
    pixels = torch.rand(2, 40, 56, 3, generator=torch.Generator().manual_seed(0))
    whole = vae_encode(run.context, pixels, VAE)["samples"]
    tiled = vae_encode_tiled(run.context, pixels, VAE, 512, 64, 64, 8)["samples"]
    torch.testing.assert_close(tiled, whole)
    picture = vae_decode_tiled(run.context, {"samples": whole}, VAE, 512, 64, 64, 8)
    torch.testing.assert_close(picture, vae_decode(run.context, {"samples": whole}, VAE))


def test_pictures_larger_than_a_tile(run: Run) -> None:
    latent = {"samples": torch.randn(1, 4, 16, 24, generator=torch.Generator().manual_seed(0))}
    found = vae_decode_tiled(run.context, latent, VAE, 64, 64, 64, 8)
    whole = vae_decode(run.context, latent, VAE)
    assert found.shape == whole.shape == (1, 128, 192, 3)
    assert float((found - whole).abs().mean()) < 0.05
    encoded = vae_encode_tiled(run.context, whole, VAE, 64, 64, 64, 8)["samples"]
    assert encoded.shape == (1, 4, 16, 24)
    steps = [event for event in run.events if isinstance(event, NodeProgress)]
    assert (steps[0].value, steps[0].label) == (1, "tile")
    assert [step.value for step in steps if step.value == step.total] == [steps[0].total, steps[-1].total]


def test_an_overlap_is_at_most_a_quarter_of_a_tile(run: Run) -> None:
    network = Marking()
    latent = {"samples": torch.zeros(1, 3, 100, 100)}
    vae_decode_tiled(run.context, latent, Autoencoder(network), 64, 4096, 64, 8)
    assert {shape[-2:] for shape in network.seen} >= {(64, 64), (32, 100), (100, 32)}
    # 64 wide tiles begin 48 apart.
    assert (64, 52) in {shape[-2:] for shape in network.seen}


def test_one_picture_at_a_time(run: Run) -> None:
    network = Marking()
    vae_decode(run.context, {"samples": torch.zeros(3, 3, 8, 8)}, Autoencoder(network))
    assert network.seen == [(1, 3, 8, 8)] * 3


def test_where_memory_runs_out_pictures_are_cut(run: Run) -> None:
    vae = Autoencoder(Hungry())
    small = torch.zeros(1, 3, 64, 64)
    vae_decode(run.context, {"samples": small}, vae)
    assert run.warnings == []
    large = torch.rand(1, 3, 520, 600, generator=torch.Generator().manual_seed(0))
    picture = vae_decode(run.context, {"samples": large * 2 - 1}, vae)
    torch.testing.assert_close(picture, large.movedim(1, -1))
    latent = vae_encode(run.context, picture, vae)["samples"]
    torch.testing.assert_close(latent, large * 2 - 1)
    assert [warning.split(",")[0] for warning in run.warnings] == ["memory ran out"] * 2


def test_memory_that_is_short_for_tiles_too_is_an_error(run: Run) -> None:
    class Starving(PixelSpace):
        def decode(self, z: Tensor) -> Tensor:
            raise torch.OutOfMemoryError

    with pytest.raises(torch.OutOfMemoryError):
        vae_decode(run.context, {"samples": torch.zeros(1, 3, 8, 8)}, Autoencoder(Starving()))
