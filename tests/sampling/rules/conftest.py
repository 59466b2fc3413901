from __future__ import annotations

from typing import Any

import pytest
import torch
from rules_support import Make
from torch import Tensor

from comfykit.sampling.guidance import GuidanceInputs


@pytest.fixture
def make() -> Make:
    """Random predictions for two pictures; keywords change them."""

    def draw(number: int) -> Tensor:
        generator = torch.Generator().manual_seed(number)
        return torch.randn(2, 4, 12, 16, generator=generator, dtype=torch.float64)

    def never(side: int, x: Tensor | None = None, change: Any = None) -> Tensor:
        raise AssertionError("no further prediction is needed")

    def made(**changes: Any) -> GuidanceInputs:
        given: dict[str, Any] = {
            "positive": draw(1),
            "negative": 0.8 * draw(1) + 0.4 * draw(2),
            "x": 3.0 * draw(3),
            "sigma": torch.tensor([2.5, 2.5]),
            "cfg": 7.0,
            "evaluate": never,
            "further": (draw(4),),
        }
        return GuidanceInputs(**{**given, **changes})

    return made
