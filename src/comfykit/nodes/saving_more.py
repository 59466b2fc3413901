"""Nodes that save pictures in a format of choice, and texts."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Annotated

from comfykit.engine.define import combo, node, socket, text
from comfykit.engine.values import NodeOutput
from comfykit.errors import UsageError
from comfykit.nodes.dynamic import Group, grouped, optional
from comfykit.nodes.files import destination, next_counter, save_new
from comfykit.nodes.pictures import metadata
from comfykit.nodes.png16 import write_png16
from comfykit.nodes.saving import SAVED_COMPRESSION, save_pictures, writable
from comfykit.nodes.types import Context, ExtraPngInfo, Image, Prompt

FORMATS = ("png", "exr", "avif")
BIT_DEPTHS = ("8-bit", "16-bit", "16-bit float", "32-bit float", "auto", "8-bit YUV420", "10-bit YUV420")
COLOR_SPACES = ("sRGB", "HDR", "linear", "linear ACEScg", "HDR PQ")
TEXT_FORMATS = ("txt", "csv", "md", "json")


@grouped(
    "options",
    optional(bit_depth=combo(BIT_DEPTHS, "8-bit"), input_color_space=combo(COLOR_SPACES, "sRGB")),
    "format",
    dict.fromkeys(FORMATS, ("bit_depth", "input_color_space")),
)
@node(
    "SaveImageAdvanced",
    title="Save Image (Advanced)",
    category="image",
    output=True,
    output_names=("images",),
)
def save_image_advanced(
    images: Image,
    filename_prefix: Annotated[str, text("ComfyUI")],
    format: Annotated[str, combo(FORMATS, "png")],  # noqa: A002  (the name that workflows use)
    options: Group,
    context: Context,
    prompt: Prompt = None,
    extra_pnginfo: ExtraPngInfo = None,
) -> Annotated[NodeOutput, socket("IMAGE")]:
    """Save pictures as PNG files of 8 or 16 bits that carry the workflow, and pass them on.

    Other formats are refused: comfykit writes no EXR and no AVIF.
    """
    depth = options.get("bit_depth", "8-bit")
    if format != "png" or depth not in ("8-bit", "16-bit"):
        raise UsageError(
            f"pictures of the format {format}, {depth} cannot be written", hint="choose png, 8-bit or 16-bit"
        )
    texts = writable(metadata(prompt, extra_pnginfo), context)
    folder = context.settings.output_dir
    if depth == "8-bit":
        files = save_pictures(images, filename_prefix, folder, texts, SAVED_COMPRESSION, context)
    else:
        place = destination(filename_prefix, folder, width=images.shape[2], height=images.shape[1])
        counter, files = next_counter(place), []
        for index, image in enumerate(images):
            write = functools.partial(write_png16, image, texts=texts, compress_level=SAVED_COMPRESSION)
            name, counter = save_new(place.folder, place.of_batch(index), counter, ".png", write)
            files.append({"filename": name, "subfolder": place.subfolder})
    shown = [{**file, "type": "output"} for file in files]
    return NodeOutput((images,), ui={"images": shown})


@node("SaveText", title="Save Text", category="utils", output=True, output_names=("text",))
def save_text(
    text: Annotated[str, text(multiline=True, forceInput=True)],
    context: Context,
    filename_prefix: Annotated[str, text("ComfyUI")] = "ComfyUI",
    format: Annotated[str, combo(TEXT_FORMATS, "txt")] = "txt",  # noqa: A002
) -> Annotated[NodeOutput, socket("STRING")]:
    """Save a text as a file, and pass it on; as json, a text that is JSON is indented first."""
    place = destination(filename_prefix, context.settings.output_dir)
    said = _indented(text) if format == "json" else text

    def write(path: Path) -> None:
        path.write_text(said, encoding="utf-8", newline="")

    name, _ = save_new(place.folder, place.stem, next_counter(place), f".{format}", write)
    file = {"filename": name, "subfolder": place.subfolder, "type": "output"}
    return NodeOutput((text,), ui={"text": [text], "files": [file]})


def _indented(said: str) -> str:
    try:
        return json.dumps(json.loads(said), indent=2, ensure_ascii=False)
    except (ValueError, RecursionError):
        return said
