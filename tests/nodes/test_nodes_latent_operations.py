from __future__ import annotations

import torch

from comfykit.nodes.latent_operations import (
    latent_apply_operation,
    latent_operation_sharpen,
    latent_operation_tonemap_reinhard,
)


def samples() -> torch.Tensor:
    return torch.randn(2, 4, 9, 11, generator=torch.Generator().manual_seed(0))


def test_sharpen_leaves_what_is_flat() -> None:
    operation = latent_operation_sharpen(3, 1.0, 0.5)
    flat = torch.ones(1, 4, 9, 9)
    torch.testing.assert_close(operation(flat), flat)
    assert operation(samples()).std() > samples().std()


def test_tonemap_compresses_lengths_by_the_curve() -> None:
    before = samples()
    after = latent_operation_tonemap_reinhard(0.5)(before)
    length = before.norm(dim=1)
    flat = length.flatten(1)
    top = 0.5 * (flat.mean(1) + 5 * flat.std(1)).view(-1, 1, 1)
    expected = length / (1 + length / top)
    torch.testing.assert_close(after.norm(dim=1), expected)
    torch.testing.assert_close(torch.cosine_similarity(before, after), torch.ones(2, 9, 11))


def test_tonemap_by_nothing_is_nothing() -> None:
    assert latent_operation_tonemap_reinhard(0.0)(samples()).abs().max() < 1e-6
    assert latent_operation_tonemap_reinhard(1.0)(torch.zeros(1, 4, 2, 2)).eq(0).all()


def test_apply() -> None:
    operation = latent_operation_tonemap_reinhard(2.0)
    made = latent_apply_operation({"samples": samples(), "batch_index": [1]}, operation)
    assert torch.equal(made["samples"], operation(samples()))
    assert made["batch_index"] == [1]
