from __future__ import annotations

import torch

from comfykit.nodes.align import (
    extend_to,
    fit_within,
    lengths,
    repeat_to,
    resize_like,
    resize_mask,
    resize_picture,
    same_channels,
)


def test_batches_are_repeated_in_turn_or_by_their_last() -> None:
    batch = torch.tensor([[1.0], [2.0]])
    assert repeat_to(batch, 5)[:, 0].tolist() == [1, 2, 1, 2, 1]
    assert repeat_to(batch, 1)[:, 0].tolist() == [1]
    assert extend_to(batch, 4)[:, 0].tolist() == [1, 2, 2, 2]
    assert extend_to(batch, 1) is batch


def test_what_fits_is_not_touched() -> None:
    image, mask, latent = torch.rand(1, 4, 6, 3), torch.rand(1, 4, 6), torch.rand(1, 4, 4, 6)
    assert resize_picture(image, 6, 4, "lanczos") is image
    assert resize_mask(mask, 6, 4) is mask
    assert resize_like(latent, torch.rand(2, 16, 4, 6)) is latent


def test_sizes() -> None:
    assert resize_picture(torch.rand(2, 4, 6, 4), 3, 5, "bilinear", "center").shape == (2, 5, 3, 4)
    assert resize_mask(torch.rand(4, 6), 3, 5).shape == (1, 5, 3)
    assert resize_like(torch.rand(1, 4, 4, 6), torch.rand(2, 16, 8, 8)).shape == (1, 4, 8, 8)


def test_fit_within() -> None:
    made = fit_within(torch.zeros(1, 4, 8, 3), 6, 8, "nearest-exact", 1.0)
    assert made.shape == (1, 8, 6, 3)
    assert made[0, :, 0, 0].tolist() == [1, 1, 0, 0, 0, 1, 1, 1]


def test_a_picture_without_alpha_is_opaque() -> None:
    first, second = same_channels(torch.zeros(1, 2, 2, 3), torch.zeros(1, 2, 2, 4))
    assert first[0, 0, 0].tolist() == [0, 0, 0, 1]
    assert second.shape[-1] == 4


def test_lengths() -> None:
    assert lengths(torch.tensor([3.0, 4.0]).view(1, 2, 1, 1)).item() == 5.0
