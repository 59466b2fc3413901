"""ComfyUI's `comfy_api.latest.io`: everything that a schema is written with."""

from __future__ import annotations

from typing import Any, TypedDict

from torch import Tensor

from comfykit.compat.host.comfy_api.latest._dynamic import (
    AnyType,
    Autogrow,
    DynamicCombo,
    DynamicInput,
    DynamicOutput,
    DynamicSlot,
    MatchType,
    MultiType,
)
from comfykit.compat.host.comfy_api.latest._schema import (
    ComfyNode,
    Hidden,
    HiddenHolder,
    NodeOutput,
    Schema,
    _UIOutput,
)
from comfykit.compat.host.comfy_api.latest._types import (
    ComfyType,
    ComfyTypeI,
    ComfyTypeIO,
    Custom,
    Input,
    Output,
    WidgetInput,
    comfytype,
)
from comfykit.compat.host.comfy_api.latest._widgets import (
    Boolean,
    Color,
    Combo,
    ControlAfterGenerate,
    Float,
    FolderType,
    Int,
    MultiCombo,
    NumberDisplay,
    RemoteOptions,
    String,
    UploadType,
    Webcam,
)


@comfytype(io_type="IMAGE")
class Image(ComfyTypeIO):
    Type = Tensor


@comfytype(io_type="MASK")
class Mask(ComfyTypeIO):
    Type = Tensor


@comfytype(io_type="SIGMAS")
class Sigmas(ComfyTypeIO):
    Type = Tensor


@comfytype(io_type="LATENT")
class Latent(ComfyTypeIO):
    class LatentDict(TypedDict, total=False):
        """A latent: `samples`, and what else belongs to them."""

        samples: Tensor
        noise_mask: Tensor
        batch_index: list[int]
        type: str

    Type = LatentDict


@comfytype(io_type="CONDITIONING")
class Conditioning(ComfyTypeIO):
    class PooledDict(TypedDict, total=False):
        """The options of an embedding."""

        pooled_output: Tensor
        control: Any
        mask: Tensor
        strength: float
        area: tuple[int, ...]

    CondList = list[tuple[Tensor, PooledDict]]
    Type = CondList


@comfytype(io_type="AUDIO")
class Audio(ComfyTypeIO):
    class AudioDict(TypedDict):
        """Sound: `waveform` [batch, channels, samples]."""

        waveform: Tensor
        sample_rate: int

    Type = AudioDict


def _plain(*names: tuple[str, str]) -> None:
    """Types without fields or forms of their own, each under its name in Python."""
    for name, io_type in names:
        made = type(name, (ComfyTypeIO,), {"__doc__": f"{io_type} on links.", "__module__": __name__})
        globals()[name] = comfytype(io_type=io_type)(made)


_plain(
    ("Sampler", "SAMPLER"),
    ("Noise", "NOISE"),
    ("Guider", "GUIDER"),
    ("Clip", "CLIP"),
    ("ControlNet", "CONTROL_NET"),
    ("Vae", "VAE"),
    ("Model", "MODEL"),
    ("ModelPatch", "MODEL_PATCH"),
    ("ClipVision", "CLIP_VISION"),
    ("ClipVisionOutput", "CLIP_VISION_OUTPUT"),
    ("AudioEncoder", "AUDIO_ENCODER"),
    ("AudioEncoderOutput", "AUDIO_ENCODER_OUTPUT"),
    ("StyleModel", "STYLE_MODEL"),
    ("Gligen", "GLIGEN"),
    ("UpscaleModel", "UPSCALE_MODEL"),
    ("LatentUpscaleModel", "LATENT_UPSCALE_MODEL"),
    ("Video", "VIDEO"),
    ("SVG", "SVG"),
    ("LoraModel", "LORA_MODEL"),
    ("LossMap", "LOSS_MAP"),
    ("Voxel", "VOXEL"),
    ("Mesh", "MESH"),
    ("Hooks", "HOOKS"),
    ("HookKeyframes", "HOOK_KEYFRAMES"),
    ("TimestepsRange", "TIMESTEPS_RANGE"),
    ("LatentOperation", "LATENT_OPERATION"),
    ("FlowControl", "FLOW_CONTROL"),
    ("Accumulation", "ACCUMULATION"),
    ("Load3DCamera", "LOAD3D_CAMERA"),
    ("Load3D", "LOAD_3D"),
    ("Load3DAnimation", "LOAD_3D_ANIMATION"),
    ("Photomaker", "PHOTOMAKER"),
    ("Point", "POINT"),
    ("FaceAnalysis", "FACE_ANALYSIS"),
    ("BBOX", "BBOX"),
    ("BoundingBox", "BOUNDING_BOX"),
    ("SEGS", "SEGS"),
    ("Tracks", "TRACKS"),
    ("WanCameraEmbedding", "WAN_CAMERA_EMBEDDING"),
    ("ImageCompare", "IMAGECOMPARE"),
)

__all__ = [
    "AnyType",
    "Autogrow",
    "Boolean",
    "Color",
    "Combo",
    "ComfyNode",
    "ComfyType",
    "ComfyTypeI",
    "ComfyTypeIO",
    "ControlAfterGenerate",
    "Custom",
    "DynamicCombo",
    "DynamicInput",
    "DynamicOutput",
    "DynamicSlot",
    "Float",
    "FolderType",
    "Hidden",
    "HiddenHolder",
    "Input",
    "Int",
    "MatchType",
    "MultiCombo",
    "MultiType",
    "NodeOutput",
    "NumberDisplay",
    "Output",
    "RemoteOptions",
    "Schema",
    "String",
    "UploadType",
    "Webcam",
    "WidgetInput",
    "_UIOutput",
    "comfytype",
]
