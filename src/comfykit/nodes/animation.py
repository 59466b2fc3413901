"""Nodes that save a batch of pictures as one animated file.

Both carry the workflow as ComfyUI writes it: a PNG in chunks named `comf` after the pictures, since programs
that animate often drop texts; a WebP in the EXIF tags for a camera's model and maker.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

from PIL import Image as Pictures
from PIL.PngImagePlugin import PngInfo
from torch import Tensor

from comfykit.engine.define import boolean, combo, integer, node, number, text
from comfykit.engine.values import NodeOutput
from comfykit.nodes.context import NodeContext
from comfykit.nodes.files import destination, next_counter, save_new
from comfykit.nodes.pictures import metadata, to_picture
from comfykit.nodes.types import Context, ExtraPngInfo, Image, Prompt

EXIF_MODEL = 0x0110  # the prompt; further entries have the tags below it
METHODS = {"default": 4, "fastest": 0, "slowest": 6}  # of WebP's effort, 0 to 6

Fps = Annotated[float, number(6.0, 0.01, 1000.0)]
Prefix = Annotated[str, text("ComfyUI")]


@node("SaveAnimatedPNG", title="SaveAnimatedPNG", category="image/animation", output=True)
def save_animated_png(
    images: Image,
    filename_prefix: Prefix,
    fps: Fps,
    compress_level: Annotated[int, integer(4, 0, 9)],
    context: Context,
    prompt: Prompt = None,
    extra_pnginfo: ExtraPngInfo = None,
) -> NodeOutput:
    """Save a batch as one animated PNG, which loses nothing; it carries the workflow that made it."""
    info = PngInfo()
    for keyword, said in metadata(prompt, extra_pnginfo).items():
        name = keyword.encode("latin-1", "replace")
        info.add(b"comf", name + b"\0" + said.encode("latin-1"), after_idat=True)
    return _save(images, filename_prefix, ".png", fps, context, pnginfo=info, compress_level=compress_level)


@node("SaveAnimatedWEBP", title="SaveAnimatedWEBP", category="image/animation", output=True)
def save_animated_webp(
    images: Image,
    filename_prefix: Prefix,
    fps: Fps,
    lossless: Annotated[bool, boolean(True)],
    quality: Annotated[int, integer(80, 0, 100)],
    method: Annotated[str, combo(tuple(METHODS))],
    context: Context,
    prompt: Prompt = None,
    extra_pnginfo: ExtraPngInfo = None,
) -> NodeOutput:
    """Save a batch as one animated WebP; it carries the workflow that made it.

    `quality` is that of the picture, or with lossless the effort to make it small.
    """
    exif = Pictures.Exif()
    for place, (keyword, said) in enumerate(metadata(prompt, extra_pnginfo).items()):
        exif[EXIF_MODEL - place] = f"{keyword}:{said}"
    return _save(
        images,
        filename_prefix,
        ".webp",
        fps,
        context,
        exif=exif,
        lossless=lossless,
        quality=quality,
        method=METHODS[method],
    )


def _save(
    images: Tensor, prefix: str, suffix: str, fps: float, context: NodeContext, **options: Any
) -> NodeOutput:
    """Write the file; frames follow each other after 1000 / fps milliseconds, cut to whole ones."""
    first, *others = [to_picture(image) for image in images]
    height, width = images.shape[1:3]
    place = destination(prefix, context.settings.output_dir, width=width, height=height)

    def write(path: Path) -> None:
        save: Callable[..., None] = first.save
        save(
            path,
            format="PNG" if suffix == ".png" else "WEBP",
            save_all=True,
            append_images=others,
            duration=int(1000.0 / fps),
            **options,
        )

    name, _ = save_new(place.folder, place.stem, next_counter(place), suffix, write)
    file = {"filename": name, "subfolder": place.subfolder, "type": "output"}
    return NodeOutput(ui={"images": [file], "animated": [True]})
