#!/usr/bin/env python3
"""Makes the pictures of docs/gallery.md: runs every workflow of `workflows/` and keeps one picture of each.

    tools/gallery.py [NAME ...] [--output docs/images/gallery] [--home HOME]

All run in one process on the CPU in float32, so that the same files come out every time. The picture of a
workflow is the one that it saves under its own name. Without `--home` only the models inside the package are
there.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from PIL import Image

import comfykit

ROOT = Path(__file__).parents[1]
WORKFLOWS = ROOT / "workflows"
PICTURES = ROOT / "docs" / "images" / "gallery"
API_FORM = ".api.json"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="NAME", default=names())
    parser.add_argument("--output", type=Path, default=PICTURES)
    parser.add_argument("--home", type=Path)
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    for name, picture in pictures(options.names, options.home):
        path = options.output / f"{name}.png"
        picture.save(path, optimize=True)
        print(f"{path}: {picture.width}x{picture.height}")


def names() -> list[str]:
    """What the workflows are called."""
    return sorted(path.name.removesuffix(API_FORM) for path in WORKFLOWS.glob(f"*{API_FORM}"))


def pictures(
    wanted: Sequence[str], home: Path | None = None, steps: int | None = None
) -> Iterator[tuple[str, Image.Image]]:
    """Name and picture of each workflow; `steps` puts another number into every KSampler."""
    with tempfile.TemporaryDirectory() as scratch:
        engine = comfykit.Engine(
            home=home or Path(scratch, "home"),
            input_dir=WORKFLOWS / "input",
            output_dir=Path(scratch, "output"),
            device="cpu",
            precision="fp32",
        )
        for name in wanted:
            workflow = comfykit.Workflow.load(WORKFLOWS / f"{name}{API_FORM}")
            if steps is not None:
                workflow = with_steps(workflow, steps)
            (saver,) = (
                key
                for key, node in workflow.prompt.items()
                if node["class_type"] == "SaveImage" and node["inputs"]["filename_prefix"] == name
            )
            (picture,) = engine.run(workflow).images(saver)
            yield name, picture


def with_steps(workflow: comfykit.Workflow, steps: int) -> comfykit.Workflow:
    """The workflow with another number of steps in every KSampler."""
    samplers = [key for key, node in workflow.prompt.items() if node["class_type"] == "KSampler"]
    return workflow.set({f"{key}.steps": steps for key in samplers})


if __name__ == "__main__":
    main()
