"""Nodes that save models, merged and patched as they are, as safetensors files in the output folder."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, TypeAlias

from comfykit.engine.define import boolean, combo, integer, node, text
from comfykit.engine.values import NodeOutput
from comfykit.errors import UsageError
from comfykit.families.extract import extract_lora
from comfykit.families.save import (
    checkpoint_tensors,
    model_spec,
    model_tensors,
    text_encoder_tensors,
    vae_tensors,
)
from comfykit.nodes.context import NodeContext
from comfykit.nodes.files import destination, next_counter, save_new
from comfykit.nodes.pictures import metadata
from comfykit.nodes.types import Clip, Context, ExtraPngInfo, Model, Prompt, Vae
from comfykit.weights.write import Pending, write_safetensors

CATEGORY = "advanced/model_merging"
SUFFIX = ".safetensors"
LORA_TYPES = ("standard", "full_diff")

File: TypeAlias = dict[str, Any]


@node("CheckpointSave", title="Save Checkpoint", category=CATEGORY, output=True)
def checkpoint_save(
    context: Context,
    model: Model,
    clip: Clip,
    vae: Vae,
    filename_prefix: Annotated[str, text("checkpoints/ComfyUI")],
    prompt: Prompt = None,
    extra_pnginfo: ExtraPngInfo = None,
) -> NodeOutput:
    """Save a model with its text encoder and VAE as one file, LoRAs and merges worked into the weights.

    The file carries the workflow that made it. A model with patches is saved in the precision that it
    computes in; --precision fp32 keeps all of a merge.
    """
    texts = {**model_spec(model, _title(filename_prefix)), **metadata(prompt, extra_pnginfo)}
    tensors = checkpoint_tensors(model, clip, vae, context.residency)
    return _shown(_save(context, filename_prefix, tensors, texts))


@node("ModelSave", title="ModelSave", category=CATEGORY, output=True)
def model_save(
    context: Context,
    model: Model,
    filename_prefix: Annotated[str, text("diffusion_models/ComfyUI")],
    prompt: Prompt = None,
    extra_pnginfo: ExtraPngInfo = None,
) -> NodeOutput:
    """Save a diffusion model without text encoder and VAE, LoRAs and merges worked into the weights."""
    texts = {**model_spec(model, _title(filename_prefix)), **metadata(prompt, extra_pnginfo)}
    return _shown(_save(context, filename_prefix, model_tensors(model, context.residency), texts))


@node("CLIPSave", title="CLIPSave", category=CATEGORY, output=True)
def clip_save(
    context: Context,
    clip: Clip,
    filename_prefix: Annotated[str, text("clip/ComfyUI")],
    prompt: Prompt = None,
    extra_pnginfo: ExtraPngInfo = None,
) -> NodeOutput:
    """Save text encoders, each as a file of its own (`..._clip_l_00001_`), LoRAs and merges worked in."""
    texts = metadata(prompt, extra_pnginfo)
    encoders = text_encoder_tensors(clip, context.residency)
    files = [
        _save(context, f"{filename_prefix}_{slot}", tensors, texts) for slot, tensors in encoders.items()
    ]
    return _shown(*files)


@node("VAESave", title="VAESave", category=CATEGORY, output=True)
def vae_save(
    context: Context,
    vae: Vae,
    filename_prefix: Annotated[str, text("vae/ComfyUI_vae")],
    prompt: Prompt = None,
    extra_pnginfo: ExtraPngInfo = None,
) -> NodeOutput:
    """Save a VAE as a file of its own."""
    texts = metadata(prompt, extra_pnginfo)
    return _shown(_save(context, filename_prefix, vae_tensors(vae, context.residency), texts))


@node("LoraSave", title="Extract and Save Lora", category="_for_testing", output=True)
def lora_save(
    context: Context,
    filename_prefix: Annotated[str, text("loras/ComfyUI_extracted_lora")],
    rank: Annotated[int, integer(8, 1, 4096)],
    lora_type: Annotated[str, combo(LORA_TYPES)],
    bias_diff: Annotated[bool, boolean(True)],
    model_diff: Model | None = None,
    text_encoder_diff: Clip | None = None,
    prompt: Prompt = None,
    extra_pnginfo: ExtraPngInfo = None,
) -> NodeOutput:
    """Make a LoRA of the difference of two models, as ModelMergeSubtract and CLIPMergeSubtract give it.

    `standard` keeps the closest matrices of the rank, `full_diff` everything. `bias_diff` adds what no LoRA
    can express: differences of biases and norms.
    """
    if model_diff is None and text_encoder_diff is None:
        raise UsageError("LoraSave needs a difference", hint="link model_diff or text_encoder_diff")
    tensors = extract_lora(
        model_diff,
        text_encoder_diff,
        context.residency,
        rank=rank if lora_type == "standard" else None,
        biases=bias_diff,
        progress=lambda done, total: context.progress(done, total, "layer"),
    )
    return _shown(_save(context, filename_prefix, tensors, metadata(prompt, extra_pnginfo)))


def _save(
    context: NodeContext, prefix: str, tensors: Mapping[str, Pending], texts: Mapping[str, str]
) -> File:
    """Write a file under the next counter: its name and sub-folder."""
    place = destination(prefix, context.settings.output_dir)
    name, _ = save_new(
        place.folder,
        place.stem,
        next_counter(place),
        SUFFIX,
        lambda path: write_safetensors(
            path, tensors, texts, lambda done, total: context.progress(done, total, "tensor")
        ),
    )
    return {"filename": name, "subfolder": place.subfolder, "type": "output"}


def _shown(*files: File) -> NodeOutput:
    return NodeOutput(ui={"models": list(files)})


def _title(prefix: str) -> str:
    return prefix.replace("\\", "/").rpartition("/")[2]
