from __future__ import annotations

from typing import Any

import torch

from comfykit.nodes.latent_batches import (
    batch_latents,
    latent_batch,
    latent_batch_seed_behavior,
    latent_cut_to_batch,
    latent_from_batch,
    rebatch_latents,
    repeat_latent_batch,
)


def numbers(count: int, side: int = 2, **more: Any) -> dict[str, Any]:
    samples = torch.arange(float(count)).view(-1, 1, 1, 1).repeat(1, 4, side, side)
    return {"samples": samples, **more}


def values(latent: dict[str, Any], name: str = "samples") -> list[float]:
    return latent[name].flatten(1).mean(1).tolist()  # type: ignore[no-any-return]


def masks(count: int) -> torch.Tensor:
    return torch.arange(float(count)).view(-1, 1, 1, 1).repeat(1, 1, 16, 16) / 8


def test_from_batch_keeps_places_and_masks() -> None:
    made = latent_from_batch(numbers(4, noise_mask=masks(4)), 1, 2)
    assert values(made) == [1, 2]
    assert values(made, "noise_mask") == [1 / 8, 2 / 8]
    assert made["batch_index"] == [1, 2]
    again = latent_from_batch(made, 9, 3)
    assert (values(again), again["batch_index"]) == ([2], [2])


def test_one_mask_for_all_stays_one() -> None:
    assert latent_from_batch(numbers(4, noise_mask=masks(1)), 1, 2)["noise_mask"].shape[0] == 1
    assert repeat_latent_batch(numbers(2, noise_mask=masks(1)), 2)["noise_mask"].shape[0] == 1


def test_repeat() -> None:
    made = repeat_latent_batch(numbers(2, noise_mask=masks(2), batch_index=[3, 5]), 2)
    assert values(made) == [0, 1, 0, 1]
    assert values(made, "noise_mask") == [0, 1 / 8, 0, 1 / 8]
    assert made["batch_index"] == [3, 5, 6, 8]
    assert "batch_index" not in repeat_latent_batch(numbers(2), 2)


def test_batch_of_two() -> None:
    made = latent_batch(numbers(2, batch_index=[4, 5]), numbers(1, 4))
    assert made["samples"].shape == (3, 4, 2, 2)
    assert made["batch_index"] == [4, 5, 0]
    assert "noise_mask" not in made


def test_batch_of_many_with_a_mask() -> None:
    made = batch_latents({"latent0": numbers(2), "latent2": numbers(1, noise_mask=masks(1))})
    assert values(made, "noise_mask") == [1, 1, 0]


def test_rebatch_counts_noise_on() -> None:
    made = rebatch_latents([numbers(3), numbers(2, noise_mask=masks(2)), numbers(1, 4)], [2])
    assert [values(latent) for latent in made] == [[0, 1], [2, 0], [1], [0]]
    assert [latent["batch_index"] for latent in made] == [[0, 1], [2, 3], [4], [5]]
    assert "noise_mask" not in made[0]
    assert values(made[1], "noise_mask") == [1, 0]
    assert rebatch_latents([numbers(2, batch_index=[7, 9])], [1])[1]["batch_index"] == [9]


def test_seed_behavior() -> None:
    before = numbers(3, batch_index=[4, 5, 6])
    assert latent_batch_seed_behavior(before, "fixed")["batch_index"] == [4, 4, 4]
    assert latent_batch_seed_behavior(numbers(2), "fixed")["batch_index"] == [0, 0]
    assert "batch_index" not in latent_batch_seed_behavior(before, "random")
    assert before["batch_index"] == [4, 5, 6]


def test_cut_to_batch() -> None:
    row = torch.arange(5.0).view(1, 1, 1, 5)
    assert latent_cut_to_batch({"samples": row}, "x", 2)["samples"][:, 0, 0].tolist() == [[0, 1], [2, 3]]
    video = torch.rand(2, 16, 5, 3, 4)
    assert latent_cut_to_batch({"samples": video}, "t", 1)["samples"].shape == (10, 16, 1, 3, 4)
