from __future__ import annotations

import tomllib
from pathlib import Path

from comfykit.doctor.requirements import LIBRARIES, NUMPY, PYTHON, TORCH


def test_they_are_those_of_the_project() -> None:
    root = next(folder for folder in Path(__file__).parents if (folder / "pyproject.toml").is_file())
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["requires-python"] == f">={PYTHON}"
    bounds = dict(requirement.split(">=") for requirement in project["dependencies"])
    bounds = {name.partition("[")[0]: bound for name, bound in bounds.items()}  # without extras
    assert bounds == {"torch": TORCH, "numpy": NUMPY, **LIBRARIES}
