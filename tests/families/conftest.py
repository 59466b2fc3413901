from __future__ import annotations

from pathlib import Path

import pytest
import torch

from comfykit.families.load import Checkpoint, load_checkpoint
from comfykit.memory import Residency
from random_weights import CHECKPOINT


@pytest.fixture(scope="session")
def checkpoint_path(random_home: Path) -> Path:
    return random_home / "models" / "checkpoints" / CHECKPOINT


@pytest.fixture
def checkpoint(checkpoint_path: Path) -> Checkpoint:
    """The tiny SD 1.x checkpoint of random weights."""
    return load_checkpoint(checkpoint_path)


@pytest.fixture(autouse=True)
def _inference() -> object:
    with torch.inference_mode():
        yield


@pytest.fixture
def residency() -> Residency:
    return Residency("cpu", "fp32")
