"""Types of the fixtures of rules' tests."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from comfykit.sampling.guidance import GuidanceInputs

Make: TypeAlias = Callable[..., GuidanceInputs]
