"""A LoRA out of the difference of two models."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from comfykit.families.components import DiffusionModel, TextEncoder
from comfykit.families.save import in_transformers
from comfykit.memory import Residency
from comfykit.weights.adapters import LowRank
from comfykit.weights.patch import Patches
from comfykit.weights.write import Pending, ready

# The type that LoRA files have as a rule.
STORED = torch.float16


def extract_lora(
    model: DiffusionModel | None,
    clip: TextEncoder | None,
    residency: Residency,
    *,
    rank: int | None,
    biases: bool,
    progress: Callable[[int, int], None],
) -> dict[str, Pending]:
    """The tensors of a LoRA for what models hold that are themselves differences.

    With a `rank` the closest matrices of that rank, without one the differences in full. Vectors, those of
    biases and norms, are kept whole where `biases` says so. Layers without a difference are left out.
    """
    made: dict[str, Pending] = {}
    layers = [*_layers(model, clip, residency)]
    for number, (name, source, patches, parameter) in enumerate(layers, 1):
        difference = patches.apply(parameter, source.to(residency.device))
        layer, _, kind = name.rpartition(".")
        if bool(difference.any()):
            if difference.dim() > 1 and rank is not None:
                factors = closest(difference, rank)
                made[f"{layer}.lora_up.weight"] = ready(factors.up.to(STORED).cpu())
                made[f"{layer}.lora_down.weight"] = ready(factors.down.to(STORED).cpu())
            elif difference.dim() > 1 or biases:
                ending = "diff_b" if kind == "bias" else "diff"
                made[f"{layer}.{ending}"] = ready(difference.to(STORED).cpu())
        progress(number, len(layers))
    return made


def closest(difference: Tensor, rank: int) -> LowRank:
    """The product of two matrices of a rank that is closest to a difference [out, in, ...] in mean square.

    The first singular values and vectors are (Eckart and Young 1936); each factor takes the roots of the
    values, which keeps both within the range of half precision.
    """
    rows = difference.flatten(1).float()
    u, s, vh = torch.linalg.svd(rows, full_matrices=False)
    rank = min(rank, len(s))
    roots = s[:rank].sqrt()
    up, down = u[:, :rank] * roots, roots[:, None] * vh[:rank]
    return LowRank(
        up.reshape(*up.shape, *(1,) * (difference.dim() - 2)), down.reshape(rank, *difference.shape[1:])
    )


def _layers(
    model: DiffusionModel | None, clip: TextEncoder | None, residency: Residency
) -> Iterator[tuple[str, Tensor, Patches, str]]:
    """Name in the LoRA, the file's tensor, patches and name among them, of every parameter."""
    if model is not None:
        for name, source in residency.sources(model.network).items():
            yield f"diffusion_model.{name}", source, model.patches, name
    if clip is not None:
        for slot, network in clip.networks.items():
            for name, source in residency.sources(network).items():
                place = f"text_encoders.{slot}.transformer.{in_transformers(name)}"
                yield place, source, clip.patches, f"{slot}.{name}"
