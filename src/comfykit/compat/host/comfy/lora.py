"""`comfy.lora`: patches of weights, by the names of a model's parameters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from comfykit.compat.modules import MissingAttribute, lacking
from comfykit.families.lora import shapes_of
from comfykit.weights.adapters import Adapted, Difference, LowRank, Replaced
from comfykit.weights.lora import parse_lora
from comfykit.weights.lora_names import text_layers, unet_layers


def load_lora(
    lora: Mapping[str, Tensor], to_load: Mapping[str, Any], log_missing: bool = True
) -> dict[Any, Any]:
    """The patches of a file's tensors; `to_load` says which parameter a name in the file is for."""
    found: dict[Any, Any] = {}
    for name, layer in parse_lora(lora).layers.items():
        place = to_load.get(name)
        if place is None:
            continue
        if layer.weight is not None:
            found[place] = layer.weight
        if layer.bias is not None and isinstance(place, str):
            found[f"{place.removesuffix('.weight')}.bias"] = layer.bias
    return found


def model_lora_keys_unet(model: Any, key_map: dict[str, Any] | None = None) -> dict[str, Any]:
    """Parameters of a U-Net by every name that a LoRA may give them."""
    found = {} if key_map is None else key_map
    network = model.diffusion_model
    layers = unet_layers(shapes_of(network), network.config)
    for name, layer in layers.by_name.items():
        parameter = f"{layer}.weight"
        if parameter in layers.shapes:
            found[f"lora_unet_{name}"] = f"diffusion_model.{parameter}"
            found[f"unet.{name}"] = f"diffusion_model.{parameter}"
            found[f"diffusion_model.{layer}"] = f"diffusion_model.{parameter}"
    return found


def model_lora_keys_clip(model: Any, key_map: dict[str, Any] | None = None) -> dict[str, Any]:
    """Parameters of text encoders by every name that a LoRA may give them."""
    found = {} if key_map is None else key_map
    slots = list(model.networks)
    for number, slot in enumerate(slots):
        layers = text_layers(shapes_of(model.networks[slot]))
        words = [f"lora_te{number + 1}_", *(["lora_te_"] if len(slots) == 1 else [])]
        for name, layer in layers.by_name.items():
            parameter = f"{layer}.weight"
            if parameter in layers.shapes:
                place = f"{slot}.transformer.text_model.{parameter}"
                found |= {f"{word}{name}": place for word in words}
                found[f"text_encoders.{slot}.transformer.text_model.{layer}"] = place
    return found


def as_weight_patch(value: Any) -> Any:
    """A value as packs give it to `add_patches`, as a patch of ours."""
    value = (value,) if isinstance(value, Tensor) else value
    if not isinstance(value, tuple | list):
        return value if hasattr(value, "apply") else Foreign(value)
    parts: Any
    kind, parts = ("diff", value) if len(value) == 1 else (value[0], value[1])
    if kind == "diff":
        return Adapted(Difference(parts[0]))
    if kind == "set":
        return Replaced(parts[0])
    if kind == "lora" and len(parts) >= 2:
        alpha = parts[2] if len(parts) > 2 else None
        return Adapted(
            LowRank(parts[0], parts[1], parts[3] if len(parts) > 3 else None),
            None if alpha is None else float(alpha),
            parts[4] if len(parts) > 4 else None,
        )
    return Foreign(value)


class Foreign:
    """A patch of a pack's own kind, which the pack's `calculate_weight` knows."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def apply(self, weight: Tensor, strength: float) -> Tensor:
        """The changed weight."""
        found: Tensor = calculate_weight([(strength, self.value, 1.0, None, None)], weight.clone(), "")
        return found


def calculate_weight(
    patches: Sequence[tuple[Any, ...]],
    weight: Tensor,
    key: str,
    intermediate_dtype: torch.dtype = torch.float32,
    original_weights: Any = None,
) -> Tensor:
    """What patches (strength, value, strength of the weight, rows, function) make of a weight."""
    for strength, value, strength_model, offset, function in patches:
        part = weight if offset is None else weight.narrow(*offset)
        scaled = part.to(intermediate_dtype) * strength_model
        patch = as_weight_patch(value)
        if isinstance(patch, Foreign):
            kind = value[0] if isinstance(value, tuple | list) and value else type(value).__name__
            raise MissingAttribute(str(lacking("comfy.lora", f"calculate_weight of patches {kind!r}")))
        changed = patch.apply(scaled, strength)
        if function is not None:
            changed = scaled + function(changed - scaled)
        if offset is None:
            weight = changed.to(weight.dtype)
        else:
            part.copy_(changed)
    return weight
