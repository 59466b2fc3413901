"""Measures what the demo model can do and writes docs/demo-model.md and docs/images/demo-model.png.

    python tools/demo_model/report.py --work FOLDER

Numbers are kept in FOLDER as they are found: an interrupted run goes on where it was. Numbers of other model
files, or of another way to judge pictures, are measured again; after another change, empty the folder.
`--only NAME` measures one section, `--quick` a tenth of everything; the page is written only by a run of
all.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch

from comfykit.errors import ComfykitError
from report_control import CONTROLNET, EMBEDDING, LORA, controlnet, embedding, lora
from report_numbers import Store, digest, paragraph
from report_pixels import PREVIEW, UPSCALER, autoencoder, upscaler
from report_quality import held_out, samplers, settings
from report_regions import areas
from report_studio import CHECKPOINT, Studio, open_studio
from report_tasks import image_to_image, inpainting, negatives

TOOLS = Path(__file__).parent
ROOT = TOOLS.parents[1]
PAGE = ROOT / "docs" / "demo-model.md"
SHEET = ROOT / "docs" / "images" / "demo-model.png"
SHEET_NAME = "sheet.png"

WORDS = {"fp32": "float32", "bf16": "bfloat16", "cpu": "a CPU", "cuda": "a GPU"}

Measure = Callable[[Studio, Store, bool], str]


@dataclass(frozen=True, slots=True)
class Section:
    """A section of the page: how it is called on the command line, its title, the files that it needs."""

    name: str
    title: str
    measure: Measure
    files: tuple[tuple[str, str], ...] = ()


def sections(work: Path) -> tuple[Section, ...]:
    """All of them, in the order of the page."""
    return (
        Section("prompts", "Prompts", partial(held_out, sheet=work / SHEET_NAME)),
        Section("samplers", "Samplers", samplers),
        Section("settings", "Steps, guidance and schedulers", settings),
        Section("negative", "Negative prompts", negatives),
        Section("img2img", "Image to image", image_to_image),
        Section("inpainting", "Inpainting", inpainting),
        Section("regions", "Regions", areas),
        Section("controlnet", "ControlNet", controlnet, (("controlnet", CONTROLNET),)),
        Section("lora", "LoRA", lora, (("loras", LORA),)),
        Section("embedding", "Textual inversion", embedding, (("embeddings", EMBEDDING),)),
        Section("upscaler", "Upscaler", upscaler, (("upscale_models", UPSCALER),)),
        Section("autoencoder", "Autoencoder and previews", autoencoder, (("vae_approx", PREVIEW),)),
    )


HEAD = (
    "# What the demo model can do",
    "Every number on this page was measured by",
    "```sh\npython tools/demo_model/report.py --work FOLDER\n```",
    """with the engine, the nodes and the files of this package, computing in {precision} on {device}.
    Pictures are judged by measurement and not by a network (`tools/demo_model/measure.py`): the background
    is the colour that most of a picture has, shapes are connected regions of other colours, and a shape's
    kind is that of the template it overlaps best. Of drawn pictures, also of ones with noise, blurred or
    compressed, at most one in 200 is judged wrong in anything;
    `tests/demo_model/test_demo_model_measure.py` holds it to that.""",
    """A picture is right in *colour* where every shape has its colour, in *shape* where every shape has its
    kind and there are no others, in *background* where that has its colour (patterns are not judged), and
    in *relation* where the first of two shapes lies on its side of the second. If not said otherwise,
    pictures have 128x128 pixels, 20 steps of euler, the scheduler normal and cfg 5, and prompts are of
    combinations of kind, colour and background that the model never saw in training.""",
    "![The first pictures of the table below; wrong ones have a red frame](images/demo-model.png)",
)


def main() -> None:
    arguments = _arguments()
    work: Path = arguments.work / "quick" if arguments.quick else arguments.work
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    if arguments.home is not None:
        studio = open_studio(arguments.home, arguments.device, arguments.precision)
        written = _report(studio, work, arguments)
    else:
        with tempfile.TemporaryDirectory() as home:
            written = _report(open_studio(Path(home), arguments.device, arguments.precision), work, arguments)
    if arguments.only:
        print("\n\n".join(written))
        return
    page = PAGE if not arguments.quick else work / PAGE.name
    words = {"precision": WORDS[arguments.precision], "device": WORDS[arguments.device]}
    head = [text if "\n```" in text else paragraph(text.format(**words)) for text in HEAD]
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_text("\n\n".join((*head, *written)) + "\n", encoding="utf-8")
    if not arguments.quick:
        SHEET.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(work / SHEET_NAME, SHEET)
    print(f"{page} is written")


def _report(studio: Studio, work: Path, arguments: argparse.Namespace) -> list[str]:
    """The text of every section that was asked for."""
    chosen = [one for one in sections(work) if not arguments.only or one.name in arguments.only]
    files = {one.name: [("checkpoints", CHECKPOINT), *one.files] for one in chosen}
    for kind, name in sorted({file for named in files.values() for file in named}):
        studio.need(kind, name)  # before time is spent on the others
    written = []
    for section in chosen:
        began = time.monotonic()
        print(section.title, flush=True)
        paths = [studio.settings.home.find(kind, name) for kind, name in files[section.name]]
        judges = [TOOLS / name for name in ("measure.py", "scenes.py", "captions.py", "drawing.py")]
        of = f"{digest([*paths, *judges])} {arguments.precision} {arguments.device}"
        text = section.measure(studio, Store(work / f"{section.name}.json", of), arguments.quick)
        written.append(f"## {section.title}\n\n{text}")
        print(f"  {time.monotonic() - began:.0f} s", flush=True)
    return written


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    names = [section.name for section in sections(Path())]
    parser.add_argument("--work", type=Path, required=True, help="where numbers are kept")
    parser.add_argument(
        "--only", action="append", choices=names, help="a section; may be given several times"
    )
    parser.add_argument(
        "--quick", action="store_true", help="a tenth of everything, for trying; writes below --work"
    )
    parser.add_argument("--home", type=Path, help="a home whose models take the place of the package's")
    parser.add_argument("--precision", default="fp32", choices=("fp32", "bf16"))
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--threads", type=int, default=0, help="of the CPU; as many as it has, if not given")
    return parser.parse_args()


if __name__ == "__main__":
    try:
        main()
    except ComfykitError as error:
        sys.exit(f"{error}" + (f"\nhint: {error.hint}" if error.hint else ""))
