#!/usr/bin/env python3
"""Draws the pictures that the workflows of `workflows/` load, into `workflows/input/`.

    tools/workflow_inputs.py [FOLDER]

They are scenes of the kind that the demo model was trained on, so that it can work on them.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

from PIL import Image, ImageDraw

sys.path.append(str(Path(__file__).parent / "demo_model"))
from drawing import draw
from scenes import Scene, Shape

FOLDER = Path(__file__).parents[1] / "workflows" / "input"
HOLE = (64, 24, 119, 103)  # left, top, right and last row: whole latent pixels, which are 8 x 8


def pictures() -> Mapping[str, Image.Image]:
    """Every input picture by file name."""
    circle = Scene((Shape("circle", "red", "large", 0.5, 0.5, 0.28),), "white")
    pair = Scene(
        (
            Shape("square", "blue", "medium", 0.27, 0.5, 0.17),
            Shape("circle", "red", "medium", 0.73, 0.5, 0.17),
        ),
        "yellow",
    )
    scattered = Scene(
        (
            Shape("star", "black", "large", 0.36, 0.34, 0.27),
            Shape("heart", "gray", "medium", 0.72, 0.74, 0.2),
        ),
        "white",
    )
    return {
        "image-to-image.png": draw(circle),
        "inpainting.png": with_hole(draw(pair), HOLE),
        "controlnet.png": draw(scattered),
    }


def with_hole(picture: Image.Image, box: tuple[int, int, int, int]) -> Image.Image:
    """A picture that is transparent in a box; its colours stay there."""
    alpha = Image.new("L", picture.size, 255)
    ImageDraw.Draw(alpha).rectangle(box, 0)
    made = picture.copy()
    made.putalpha(alpha)
    return made


def main() -> None:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    for name, picture in pictures().items():
        picture.save(folder / name, optimize=True)


if __name__ == "__main__":
    main()
