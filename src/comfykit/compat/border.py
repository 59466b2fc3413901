"""The border between our nodes and packs: what travels along links, as each side has it.

    ours                          packs'
    DiffusionModel                comfy.model_patcher.ModelPatcher
    TextEncoder                   comfy.sd.CLIP
    Autoencoder                   comfy.sd.VAE
    ControlModel                  comfy.controlnet.ControlNet, T2IAdapter
    VisionEncoder                 comfy.clip_vision.ClipVisionModel
    SamplerSpec                   comfy.samplers.KSAMPLER
    Guider                        comfy.samplers.CFGGuider
    conditioning with `controls`  conditioning with `control`

`to_pack` goes over what a pack's node is given, `to_engine` over what it returns. Both look at values, not at
the types of sockets, since a `*` carries anything; and leave alone what is not in the table.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from comfykit.compat import pack_samplers
from comfykit.compat.host.comfy import clip_vision, controlnet, samplers, sd
from comfykit.compat.host.comfy.model_patcher import ModelPatcher
from comfykit.families import guiders
from comfykit.families.components import Autoencoder, DiffusionModel, TextEncoder
from comfykit.families.control import ControlModel
from comfykit.families.vision import VisionEncoder
from comfykit.sampling.samplers import SamplerSpec

_GUIDERS = (guiders.CFGGuider, guiders.BasicGuider, guiders.DualCFGGuider, guiders.PerpNegGuider)


_TO_PACK: Sequence[tuple[Any, Callable[[Any], Any]]] = (
    (DiffusionModel, ModelPatcher.of),
    (TextEncoder, sd.CLIP.of),
    (Autoencoder, sd.VAE.of),
    (ControlModel, controlnet.view_of),
    (VisionEncoder, clip_vision.ClipVisionModel.of),
    (SamplerSpec, pack_samplers.ksampler_of),
    (pack_samplers.PackGuider, lambda guider: guider.given),
    (_GUIDERS, pack_samplers.guider_of),
)
_TO_ENGINE: Sequence[tuple[Any, Callable[[Any], Any]]] = (
    (ModelPatcher, lambda model: model if model.core is None else model.engine_model()),
    (sd.CLIP, sd.CLIP.engine_encoder),
    (sd.VAE, sd.VAE.engine_vae),
    (controlnet.ControlBase, controlnet.engine_model),
    (clip_vision.ClipVisionModel, lambda model: model.core),
    (pack_samplers.EngineGuider, lambda guider: guider.engine),
    (samplers.CFGGuider, pack_samplers.PackGuider),
    (samplers.Sampler, pack_samplers.spec_of),
)


def to_pack(value: Any) -> Any:
    """A value of ours as packs have it."""
    return _crossed(value, _TO_PACK, conditioning_to_pack)


def to_engine(value: Any) -> Any:
    """A value of a pack's as our nodes have it."""
    return _crossed(value, _TO_ENGINE, conditioning_to_engine)


def _crossed(
    value: Any, kinds: Sequence[tuple[Any, Callable[[Any], Any]]], sides: Callable[[Any], Any]
) -> Any:
    if isinstance(value, list):
        if _is_conditioning(value):
            return sides(value)
        crossed = [_crossed(one, kinds, sides) for one in value]
        changed = any(one is not before for one, before in zip(crossed, value, strict=True))
        return crossed if changed else value
    return next((across(value) for kind, across in kinds if isinstance(value, kind)), value)


def conditioning_to_pack(conditioning: Sequence[Sequence[Any]]) -> list[list[Any]]:
    """Conditionings with their ControlNets as packs have them."""
    found = []
    for embedding, options in conditioning:
        told = options
        if options.get("controls"):
            told = {name: value for name, value in options.items() if name != "controls"}
            told["control"] = controlnet.chain_of(options["controls"])
        found.append([embedding, told])
    return found


def conditioning_to_engine(conditioning: Sequence[Sequence[Any]]) -> list[list[Any]]:
    """Conditionings with their ControlNets as our nodes have them."""
    found = []
    for embedding, options in conditioning:
        told = options
        if options.get("control") is not None:
            told = {name: value for name, value in options.items() if name != "control"}
            ours, theirs = controlnet.split_controls(options)
            told["controls"] = ours or tuple(controlnet.PackControlOnLink(one) for one in theirs)
        found.append([embedding, told])
    return found


def _is_conditioning(value: list[Any]) -> bool:
    return bool(value) and all(
        isinstance(one, list | tuple) and len(one) == 2 and isinstance(one[1], dict) for one in value
    )
