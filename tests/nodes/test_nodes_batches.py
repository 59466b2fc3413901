from __future__ import annotations

import torch

from comfykit.engine.define import node_class
from comfykit.nodes.batches import (
    batch_images,
    batch_masks,
    image_batch,
    image_from_batch,
    rebatch_images,
    repeat_image_batch,
)


def numbers(count: int, height: int = 2, width: int = 2) -> torch.Tensor:
    return torch.arange(float(count)).view(-1, 1, 1, 1).expand(-1, height, width, 3)


def test_image_batch_takes_the_size_of_the_first_and_alpha_of_either() -> None:
    made = image_batch(torch.zeros(1, 4, 6, 3), torch.zeros(2, 8, 8, 4))
    assert made.shape == (3, 4, 6, 4)
    assert made[..., 3].flatten(1).mean(1).tolist() == [1, 0, 0]


def test_image_from_batch() -> None:
    batch = numbers(4)
    assert image_from_batch(batch, 1, 2)[:, 0, 0, 0].tolist() == [1, 2]
    assert image_from_batch(batch, 9, 2)[:, 0, 0, 0].tolist() == [3]


def test_repeat_image_batch() -> None:
    assert repeat_image_batch(numbers(2), 2)[:, 0, 0, 0].tolist() == [0, 1, 0, 1]


def test_rebatch_images() -> None:
    made = rebatch_images([numbers(3), numbers(2), numbers(1, 4)], [2])
    assert [len(batch) for batch in made] == [2, 2, 1, 1]
    assert made[1][:, 0, 0, 0].tolist() == [2, 0]


def test_nodes_with_many_inputs() -> None:
    entry = node_class(batch_images)
    assert entry is not None
    assert [name for name, spec in entry.inputs.items() if spec.required] == ["images.image0"]
    assert len(entry.inputs) == 50
    given = {"images.image0": numbers(1), "images.image3": numbers(2, 4, 4)}
    assert entry.bind().run(**given)[0].shape == (3, 2, 2, 3)
    assert batch_masks({"mask0": torch.rand(1, 4, 6), "mask1": torch.rand(8, 8)}).shape == (2, 4, 6)
