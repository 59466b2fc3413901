"""ControlNets: pictures that say where things are.

A control beside `controls` that a conditioning has already acts with them: several can be chained.
"""

from __future__ import annotations

from typing import Annotated, Any, TypeAlias

from comfykit.engine.define import combo, node, number, socket
from comfykit.engine.schema import Listing
from comfykit.families.control import Control, ControlModel
from comfykit.families.control_load import load_control
from comfykit.nodes.types import Conditioning, Context, Image, Model, Vae

ControlNetInput: TypeAlias = Annotated[ControlModel, socket("CONTROL_NET")]
ControlNetName: TypeAlias = Annotated[str, combo(Listing("models/controlnet"))]
Strength: TypeAlias = Annotated[float, number(1.0, 0.0, 10.0)]
Start: TypeAlias = Annotated[float, number(0.0, 0.0, 1.0, 0.001)]
End: TypeAlias = Annotated[float, number(1.0, 0.0, 1.0, 0.001)]

UNION_TYPES = (
    "auto",
    "openpose",
    "depth",
    "hed/pidi/scribble/ted",
    "canny/lineart/anime_lineart/mlsd",
    "normal",
    "segment",
    "tile",
    "repaint",
)
"""Types of hints in the order in which union ControlNets number them, after "auto"."""


@node("ControlNetLoader", title="Load ControlNet Model", category="loaders")
def control_net_loader(context: Context, control_net_name: ControlNetName) -> ControlNetInput:
    """Load a ControlNet, a Control-LoRA or a T2I-Adapter.

    One whose file's name ends in `_shuffle` tells style and not place.
    """
    return load_control(context.settings.home.find("controlnet", control_net_name))


@node("DiffControlNetLoader", title="Load ControlNet Model (diff)", category="loaders")
def diff_control_net_loader(
    context: Context, model: Model, control_net_name: ControlNetName
) -> ControlNetInput:
    """Load a ControlNet whose file holds differences to a model's weights; others load as usual.

    The weights are those of the model's file, without LoRAs.
    """
    own = context.residency.sources(model.network)
    return load_control(context.settings.home.find("controlnet", control_net_name), own)


@node("SetUnionControlNetType", title="SetUnionControlNetType", category="conditioning/controlnet")
def set_union_control_net_type(
    control_net: ControlNetInput,
    type: Annotated[str, combo(UNION_TYPES)],  # noqa: A002  (the input's name)
) -> ControlNetInput:
    """Say what the hints of a ControlNet for several types show; others stay as they are."""
    return control_net.with_kind(UNION_TYPES.index(type) - 1 if type != "auto" else None)


@node("ControlNetApply", title="Apply ControlNet (OLD)", category="conditioning/controlnet")
def control_net_apply(
    conditioning: Conditioning, control_net: ControlNetInput, image: Image, strength: Strength
) -> Conditioning:
    """Guide a conditioning with a picture, and the negative side too where it has no ControlNet.

    The picture is cropped and resized to the latent's.
    """
    if strength == 0:
        return conditioning
    control = Control(control_net, image.movedim(-1, 1), strength)
    return _with_control(conditioning, control, lend=True)


@node(
    "ControlNetApplyAdvanced",
    title="Apply ControlNet",
    category="conditioning/controlnet",
    output_names=("positive", "negative"),
)
def control_net_apply_advanced(
    positive: Conditioning,
    negative: Conditioning,
    control_net: ControlNetInput,
    image: Image,
    strength: Strength,
    start_percent: Start,
    end_percent: End,
    vae: Vae | None = None,
) -> tuple[Conditioning, Conditioning]:
    """Guide both sides with a picture, between two parts of the schedule.

    The picture is cropped and resized to the latent's. The VAE is for ControlNets that look at latents, which
    those of SD 1.x, SD 2.x and SDXL do not.
    """
    if strength == 0:
        return positive, negative
    control = Control(control_net, image.movedim(-1, 1), strength, start_percent, end_percent)
    return _with_control(positive, control, lend=False), _with_control(negative, control, lend=False)


@node(
    "ControlNetApplySD3",
    title="Apply Controlnet with VAE",
    category="conditioning/controlnet",
    output_names=("positive", "negative"),
)
def control_net_apply_sd3(
    positive: Conditioning,
    negative: Conditioning,
    control_net: ControlNetInput,
    vae: Vae,
    image: Image,
    strength: Strength,
    start_percent: Start,
    end_percent: End,
) -> tuple[Conditioning, Conditioning]:
    """The same as `ControlNetApplyAdvanced`, with the VAE required."""
    return control_net_apply_advanced(
        positive, negative, control_net, image, strength, start_percent, end_percent, vae
    )


def _with_control(conditioning: list[list[Any]], control: Control, *, lend: bool) -> list[list[Any]]:
    return [
        [
            embedding,
            {
                **options,
                "controls": (*options.get("controls", ()), control),
                "control_apply_to_uncond": lend,
            },
        ]
        for embedding, options in conditioning
    ]
