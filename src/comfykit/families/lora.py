"""LoRAs on models and text encoders."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

from torch import nn

from comfykit.errors import ModelFileError
from comfykit.families.components import DiffusionModel, TextEncoder
from comfykit.models.unet import UNet
from comfykit.weights.adapters import Adapted, LowRank
from comfykit.weights.kinds import BELONGS, kind_of
from comfykit.weights.lora import Lora, parse_lora
from comfykit.weights.lora_names import Matched, Target, match, text_layers, unet_layers
from comfykit.weights.patch import WeightPatch
from comfykit.weights.read import open_weights

_NAMED = 3  # examples in a sentence

# What a LoRA is for, by a piece of a layer's name that only networks of that make have.
_OTHER_MAKES = {
    "single_transformer_blocks": "Flux",
    "double_blocks": "Flux",
    "joint_blocks": "Stable Diffusion 3",
    "img_mod": "Qwen-Image",
    "cross_attn": "Wan",
}

# The same for U-Nets, by the width of the context that their cross-attention takes.
_CONTEXT_WIDTHS = {
    768: "Stable Diffusion 1.x",
    1024: "Stable Diffusion 2.x",
    1280: "the SDXL refiner",
    2048: "SDXL",
}


@dataclass(frozen=True, slots=True)
class WithLora:
    """A model and its text encoder with a LoRA on them, and what of it was left out, in sentences."""

    model: DiffusionModel
    clip: TextEncoder | None
    left_out: tuple[str, ...] = ()


def load_lora(path: Path) -> Lora:
    """Open a LoRA file; its tensors stay in the file until they are used.

    Raises `ModelFileError` that says what the file is when it is no LoRA.
    """
    tensors = open_weights(path).tensors
    lora = parse_lora(tensors)
    if lora.layers:
        return lora
    kind = kind_of(tensors)
    if kind is None or kind == "lora":
        raise ModelFileError(
            f"{path}: no LoRA of a kind that comfykit knows; its tensors are called {_some(tensors)}",
            path=str(path),
        )
    raise ModelFileError(
        f"{path}: this is {BELONGS[kind].called}, not a LoRA",
        hint=f"it belongs in models/{BELONGS[kind].folder} and is loaded by {BELONGS[kind].loader}",
        path=str(path),
    )


def add_lora(
    lora: Lora,
    model: DiffusionModel,
    clip: TextEncoder | None,
    *,
    strength_model: float,
    strength_clip: float = 0.0,
) -> WithLora:
    """Put a LoRA on a model and, where one is given, its text encoder.

    Raises `ModelFileError` where nothing of it fits them, saying what it seems to be for.
    """
    encoders = _encoders(_networks(clip))
    layers = {slot: text_layers(shapes_of(network)) for slot, network in _networks(clip).items()}
    networks = {target: layers[slot] for target, slot in encoders.items()}
    networks["unet"] = unet_layers(shapes_of(model.network), model.network.config)
    matched = match(lora, networks)
    if not matched.patches and (matched.unmatched or matched.misfits or clip is not None):
        raise _nothing_fits(lora, f"of the family {model.family.title}")
    found = matched.patches
    model = replace(model, patches=model.patches.with_patches(found.get("unet", {}), strength_model))
    if clip is not None:
        patches = clip.patches
        for target, slot in encoders.items():
            named = {f"{slot}.{parameter}": patch for parameter, patch in found.get(target, {}).items()}
            patches = patches.with_patches(named, strength_clip)
        clip = replace(clip, patches=patches)
    return WithLora(model, clip, tuple(_left_out(lora, matched, both=clip is not None)))


def unet_patches(lora: Lora, network: UNet) -> Mapping[str, WeightPatch]:
    """What a LoRA changes of a U-Net, by parameter; nothing where it is for text encoders only.

    Raises `ModelFileError` where it has layers of a U-Net and none fits, saying what it seems to be for.
    """
    matched = match(lora, {"unet": unet_layers(shapes_of(network), network.config)})
    if not matched.patches and (matched.unmatched or matched.misfits):
        make = _CONTEXT_WIDTHS.get(network.config.context_dim or 0)
        raise _nothing_fits(lora, f"of the kind {make}" if make else "of another kind")
    return matched.patches.get("unet", {})


def text_patches(lora: Lora, networks: Mapping[str, nn.Module]) -> Mapping[str, WeightPatch]:
    """What a LoRA changes of text encoders, by parameters with the network's slot before them."""
    encoders = _encoders(networks)
    layers = {slot: text_layers(shapes_of(network)) for slot, network in networks.items()}
    found = match(lora, {target: layers[slot] for target, slot in encoders.items()}).patches
    return {
        f"{slot}.{parameter}": patch
        for target, slot in encoders.items()
        for parameter, patch in found.get(target, {}).items()
    }


def shapes_of(network: nn.Module) -> dict[str, tuple[int, ...]]:
    """Shape of every parameter of a network."""
    return {name: tuple(tensor.shape) for name, tensor in network.named_parameters()}


def _networks(clip: TextEncoder | None) -> Mapping[str, nn.Module]:
    return clip.networks if clip is not None else {}


def _encoders(networks: Iterable[str]) -> dict[Target, str]:
    """The slots of a text encoder by what LoRAs call them: te1 the first, te2 SDXL's second."""
    slots = list(networks)
    targets: dict[Target, str] = {slot: slot for slot in slots}
    if slots:
        targets["te1"] = slots[0]
    if "clip_g" in slots:
        targets["te2"] = "clip_g"
    return targets


def _left_out(lora: Lora, matched: Matched, *, both: bool) -> Iterator[str]:
    """Sentences about what could not be used; `both` when a text encoder was there to take its part."""
    found = {
        "in a form that comfykit does not know": lora.unknown,
        "for layers that this model does not have": matched.unmatched,
        "for layers of another size": matched.misfits,
        "for networks that this model does not have": matched.elsewhere if both else (),
    }
    for why, names in found.items():
        if names:
            yield f"{len(names)} patches {why} are left out: {_some(names)}"
    if not matched.patches:
        yield "it has nothing for the model, only for text encoders"


def _nothing_fits(lora: Lora, kind: str) -> ModelFileError:
    makes = [make for sign, make in _OTHER_MAKES.items() if any(sign in name for name in lora.layers)]
    meant = makes[0] if makes else _CONTEXT_WIDTHS.get(_context_width(lora) or 0)
    about = f"it seems to be for {meant}" if meant else f"its layers are called {_some(lora.layers)}"
    return ModelFileError(
        f"nothing in this LoRA fits the model, which is {kind}: {about}",
        hint="take a LoRA that was made for this family, or load the model that it was made for",
        layers=len(lora.layers),
    )


def _context_width(lora: Lora) -> int | None:
    """Width of the context that the cross-attention of the LoRA's network takes."""
    for name, layer in lora.layers.items():
        if "attn2" in name and name.endswith("to_k") and isinstance(layer.weight, Adapted):
            adapter = layer.weight.adapter
            if isinstance(adapter, LowRank):
                return adapter.down.shape[1]
    return None


def _some(names: Iterable[str]) -> str:
    listed = list(names)
    return ", ".join(islice(listed, _NAMED)) + (", ..." if len(listed) > _NAMED else "")
