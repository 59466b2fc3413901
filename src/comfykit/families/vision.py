"""CLIP_VISION: turns pictures into what models are conditioned on, and what it makes of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor
from torch.nn import functional as F

from comfykit.errors import ModelFileError
from comfykit.families.load import open_detected
from comfykit.memory import Residency
from comfykit.models.clip_vision import ClipVision
from comfykit.weights.clip_vision_layout import clip_vision_config, from_open_clip
from comfykit.weights.load import build
from comfykit.weights.read import take

# Mean and deviation of the colours that CLIP was trained on (openai/CLIP, `clip.py`).
MEAN = (0.48145466, 0.4578275, 0.40821073)
DEVIATION = (0.26862954, 0.26130258, 0.27577711)

OPEN_CLIP = "visual."
EMBEDDED = "embedder.model.visual."
"""Where unCLIP checkpoints keep their vision encoder."""


@dataclass(frozen=True, slots=True, eq=False)
class VisionOutput:
    """CLIP_VISION_OUTPUT: what an encoder makes of pictures, in float32 on the CPU.

    The names are those that custom nodes read, as attributes or as keys. Hidden states are
    [batch, 1 + patches, width], `image_embeds` [batch, width of the space that is shared with texts].
    """

    last_hidden_state: Tensor
    image_embeds: Tensor
    penultimate_hidden_states: Tensor

    def __getitem__(self, name: str) -> Tensor:
        """The attribute of that name."""
        if name not in self.__slots__:
            raise KeyError(name)
        found: Tensor = getattr(self, name)
        return found


@dataclass(frozen=True, slots=True, eq=False)
class VisionEncoder:
    """A vision encoder, whose weights stay in their file until they are used."""

    network: ClipVision

    def encode(self, pictures: Tensor, residency: Residency, *, crop: bool = True) -> VisionOutput:
        """What it makes of pictures [batch, height, width, channels] in 0 to 1.

        With `crop` their middle squares, else whole pictures squeezed to squares.
        """
        # Kept in the type of its weights: it computes in float32 whatever that is.
        dtype = next(self.network.parameters()).dtype
        residency.place(self.network, residency.device, dtype)
        seen = prepared(pictures.to(residency.device), self.network.config.size, crop=crop)
        found = self.network(seen)
        return VisionOutput(found.last.cpu(), found.embeds.cpu(), found.penultimate.cpu())


def prepared(pictures: Tensor, size: int, *, crop: bool) -> Tensor:
    """Pictures [batch, height, width, channels] as CLIP sees them: [batch, 3, size, size], normalised.

    Resized by a bicubic filter, as wide as shrinking asks for, and rounded to 256 values.
    """
    shown = pictures[..., :3].movedim(-1, 1).float()
    height, width = shown.shape[-2:]
    if crop:
        scale = size / min(height, width)
        shown = _resized(shown, round(scale * height), round(scale * width))
        top, left = ((side - size) // 2 for side in shown.shape[-2:])
        shown = shown[..., top : top + size, left : left + size]
    else:
        shown = _resized(shown, size, size)
    shown = (255.0 * shown).clamp(0, 255).round() / 255.0
    mean, deviation = (shown.new_tensor(values).reshape(3, 1, 1) for values in (MEAN, DEVIATION))
    return (shown - mean) / deviation


def _resized(pictures: Tensor, height: int, width: int) -> Tensor:
    if pictures.shape[-2:] == (height, width):
        return pictures
    return F.interpolate(pictures, size=(height, width), mode="bicubic", antialias=True)


def load_vision(path: Path) -> VisionEncoder:
    """Open a vision encoder in a file of its own, in the layout of transformers or of OpenCLIP.

    Raises `ModelFileError` that says what the file is when it is none.
    """
    file, _ = open_detected(path, "clip_vision")
    return vision_encoder(file.tensors, path)


def embedded_vision(path: Path) -> VisionEncoder:
    """The vision encoder of an unCLIP checkpoint; raises `ModelFileError` for other checkpoints."""
    file, _ = open_detected(path, "checkpoint")
    tensors = take(file.tensors, EMBEDDED)
    if not tensors:
        raise ModelFileError(
            f"{path} holds no vision encoder: it is no unCLIP checkpoint",
            hint="take CheckpointLoaderSimple, and CLIPVisionLoader for the vision encoder",
            path=str(path),
        )
    return vision_encoder({OPEN_CLIP + name: tensor for name, tensor in tensors.items()}, path)


def vision_encoder(tensors: Mapping[str, Tensor], path: Path) -> VisionEncoder:
    """The vision encoder among tensors; text encoders beside it are passed over."""
    own = from_open_clip(take(tensors, OPEN_CLIP)) or {
        name: tensor
        for name, tensor in tensors.items()
        if name.startswith(("vision_model.", "visual_projection."))
    }
    try:
        config = clip_vision_config({name: tuple(tensor.shape) for name, tensor in own.items()})
    except ModelFileError as error:
        raise ModelFileError(f"{path}: {error}", hint=error.hint, path=str(path)) from error
    return VisionEncoder(build(lambda: ClipVision(config), own, what=f"the vision encoder of {path.name}"))
