"""Nodes that keep pictures and latents as files, and the one that reads latents back."""

from __future__ import annotations

import functools
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from comfykit.engine.define import combo, node, text
from comfykit.engine.schema import Listing
from comfykit.engine.values import NodeOutput
from comfykit.errors import UsageError
from comfykit.nodes.context import NodeContext
from comfykit.nodes.files import destination, next_counter, save_new
from comfykit.nodes.folders import check_file, file_digest, find_file, split_kind
from comfykit.nodes.pictures import is_png_keyword, metadata, to_picture, write_png
from comfykit.nodes.types import Context, ExtraPngInfo, Image, Latent, Prompt

LATENT_SUFFIX = ".latent"
SAVED_COMPRESSION = 4  # of 0 to 9
PREVIEW_COMPRESSION = 1

# Files without a format version hold latents as Stable Diffusion 1 samples them; the VAE wants others.
OLD_LATENT_SCALE = 1 / 0.18215


@node("SaveImage", title="Save Image", category="image", output=True)
def save_image(
    images: Image,
    filename_prefix: Annotated[str, text("ComfyUI")],
    context: Context,
    prompt: Prompt = None,
    extra_pnginfo: ExtraPngInfo = None,
) -> NodeOutput:
    """Save pictures as PNG files that carry the workflow which made them."""
    texts = metadata(prompt, extra_pnginfo)
    folder = context.settings.output_dir
    files = save_pictures(images, filename_prefix, folder, texts, SAVED_COMPRESSION, context)
    return NodeOutput(ui={"images": [{**file, "type": "output"} for file in files]})


@node("PreviewImage", title="Preview Image", category="image", output=True)
def preview_image(
    images: Image, context: Context, prompt: Prompt = None, extra_pnginfo: ExtraPngInfo = None
) -> NodeOutput:
    """Show pictures: PNG files in the temp folder, under a prefix that no other preview has."""
    texts = metadata(prompt, extra_pnginfo)
    prefix = f"preview_{secrets.token_hex(4)}"
    files = save_pictures(images, prefix, context.settings.temp_dir, texts, PREVIEW_COMPRESSION, context)
    return NodeOutput(ui={"images": [{**file, "type": "temp"} for file in files]})


@node("SaveLatent", title="SaveLatent", category="_for_testing", output=True)
def save_latent(
    samples: Latent,
    filename_prefix: Annotated[str, text("latents/ComfyUI")],
    context: Context,
    prompt: Prompt = None,
    extra_pnginfo: ExtraPngInfo = None,
) -> NodeOutput:
    """Save a latent as a safetensors file that carries the workflow which made it."""
    tensors = {
        "latent_tensor": samples["samples"].detach().to("cpu", torch.float32).contiguous(),
        "latent_format_version_0": torch.empty(0),
    }
    texts = metadata(prompt, extra_pnginfo)
    place = destination(filename_prefix, context.settings.output_dir)
    name, _ = save_new(
        place.folder,
        place.stem,
        next_counter(place),
        LATENT_SUFFIX,
        lambda path: save_file(tensors, path, texts or None),
    )
    return NodeOutput(ui={"latents": [{"filename": name, "subfolder": place.subfolder, "type": "output"}]})


def check_latent(latent: str | None) -> bool | str:
    """Whether the latent is where its name says."""
    if latent is not None and not split_kind(latent)[0].endswith(LATENT_SUFFIX):
        return f"{latent!r} is not the name of a {LATENT_SUFFIX} file"
    return check_file(latent)


def latent_digest(latent: str | None = None) -> str | float:
    """Changes when the file does."""
    return file_digest(latent)


@node(
    "LoadLatent",
    title="LoadLatent",
    category="_for_testing",
    check=check_latent,
    fingerprint=latent_digest,
)
def load_latent(latent: Annotated[str, combo(Listing("input"))], context: Context) -> Latent:
    """Load a latent that SaveLatent wrote, from the input folder."""
    path = find_file(latent, context.settings)
    try:
        tensors = load_file(path)
    except SafetensorError as error:
        raise UsageError(f"{path.name} is not a latent file: {error}") from error
    if "latent_tensor" not in tensors:
        raise UsageError(f"{path.name} is not a latent file: it has no 'latent_tensor'")
    samples = tensors["latent_tensor"].float()
    scaled = "latent_format_version_0" not in tensors
    return {"samples": samples * OLD_LATENT_SCALE if scaled else samples}


def save_pictures(
    images: Tensor,
    prefix: str,
    root: Path,
    texts: Mapping[str, str],
    compress_level: int,
    context: NodeContext,
) -> list[dict[str, Any]]:
    """Save a batch under consecutive counters: file name and sub-folder of each picture."""
    texts = writable(texts, context)
    if images.isnan().any():
        context.warn(
            "a picture holds values that are not numbers; they become black",
            hint="half precision often overflows in a VAE: try --precision fp32",
        )
    height, width = images.shape[1:3]
    place = destination(prefix, root, width=width, height=height)
    counter = next_counter(place)
    files = []
    for index, image in enumerate(images):
        write = functools.partial(write_png, to_picture(image), texts=texts, compress_level=compress_level)
        name, counter = save_new(place.folder, place.of_batch(index), counter, ".png", write)
        counter += 1
        files.append({"filename": name, "subfolder": place.subfolder})
    return files


def writable(texts: Mapping[str, str], context: NodeContext) -> dict[str, str]:
    """The texts whose names a PNG can hold."""
    for name in texts:
        if not is_png_keyword(name):
            context.warn(f"{name!r} cannot name a text in a PNG; the picture is saved without it")
    return {name: said for name, said in texts.items() if is_png_keyword(name)}
