from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from comfykit.errors import UsageError
from comfykit.families.conditioning import from_link
from comfykit.families.family import Scene
from comfykit.families.load import Checkpoint
from comfykit.sampling.conditioning import Area, Cond, RelativeArea
from comfykit.sampling.guidance import POSITIVE


def cond(checkpoint: Checkpoint, width: int | None = None, **options: Any) -> Cond:
    model = checkpoint.model
    latent = torch.zeros(1, 4, 8, 8)
    scene = Scene(latent, latent, None, model.network.config, model.family.latent_format)
    embedding = torch.zeros(1, 77, width or model.network.config.context_dim)
    (found,) = from_link([[embedding, options]], model, POSITIVE, scene)
    return found


def test_nothing_said_is_everywhere_and_always(checkpoint: Checkpoint) -> None:
    found = cond(checkpoint)
    assert (found.area, found.mask, found.strength, found.controls) == (None, None, 1.0, ())
    assert found.always_active


def test_areas_are_in_cells_or_in_parts(checkpoint: Checkpoint) -> None:
    assert cond(checkpoint, area=(4, 6, 1, 2)).area == Area((4, 6), (1, 2))
    relative = cond(checkpoint, area=("percentage", 0.5, 0.75, 0.1, 0.2)).area
    assert relative == RelativeArea((0.5, 0.75), (0.1, 0.2))


def test_areas_of_videos_are_refused_for_pictures(checkpoint: Checkpoint) -> None:
    with pytest.raises(UsageError, match="area has 3 axes, and the latent has 2"):
        cond(checkpoint, area=("percentage", 1.0, 0.5, 0.75, 0.0, 0.1, 0.2))


def test_parts_of_the_way_become_levels(checkpoint: Checkpoint) -> None:
    found = cond(checkpoint, start_percent=0.0, end_percent=1.0)
    assert (found.start_sigma > 1000, found.end_sigma) == (True, 0.0)
    late = cond(checkpoint, start_percent=0.5)
    assert 0.1 < late.start_sigma < 10
    assert not math.isinf(late.start_sigma)


def test_prompts_of_other_models_are_refused(checkpoint: Checkpoint) -> None:
    with pytest.raises(UsageError, match="in vectors of 96 numbers, and the model takes 128") as caught:
        cond(checkpoint, width=96)
    assert caught.value.hint == "encode prompts with the text encoder of the model's own checkpoint"
