"""`comfy.clip_vision`: CLIP_VISION as packs have it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from comfykit.compat import placing
from comfykit.families.vision import VisionEncoder, VisionOutput, load_vision, prepared, vision_encoder


class Output:
    """What an encoder makes of pictures; packs make their own too."""

    def __getitem__(self, key: str) -> Any:
        """The attribute of that name."""
        return getattr(self, key)

    def __setitem__(self, key: str, item: Any) -> None:
        setattr(self, key, item)


def clip_preprocess(
    image: Tensor, size: int = 224, mean: Any = None, std: Any = None, crop: bool = True
) -> Tensor:
    """Pictures as CLIP sees them; other means than CLIP's own are undone and put in their place."""
    from comfykit.families.vision import DEVIATION, MEAN

    found = prepared(image, size, crop=crop)
    if mean is None or (list(mean), list(std)) == (list(MEAN), list(DEVIATION)):
        return found
    own, deviation, wanted, spread = (
        found.new_tensor(list(values)).reshape(3, 1, 1) for values in (MEAN, DEVIATION, mean, std)
    )
    return (found * deviation + own - wanted) / spread


class ClipVisionModel:
    """A vision encoder."""

    core: VisionEncoder

    @classmethod
    def of(cls, core: VisionEncoder) -> ClipVisionModel:
        """The view of one of ours."""
        from comfykit.compat.host.comfy.model_patcher import EnginePatcher

        made = cls.__new__(cls)
        made.core = core
        made.model = core.network
        made.image_size = core.network.config.size

        def place() -> None:
            placing.residency().place(core.network, made.load_device, made.dtype)

        made.patcher = EnginePatcher(core.network, [core.network], place)
        return made

    model: Any
    image_size: int
    patcher: Any

    @property
    def load_device(self) -> torch.device:
        """Where it computes."""
        return placing.residency().device

    @property
    def dtype(self) -> torch.dtype:
        """The type of its weights."""
        return next(self.core.network.parameters()).dtype

    def encode_image(self, image: Tensor, crop: Any = True) -> VisionOutput:
        """What it makes of pictures."""
        return self.core.encode(image, placing.residency(), crop=bool(crop) and crop != "none")

    def get_sd(self) -> dict[str, Tensor]:
        """The weights."""
        return self.core.network.state_dict()


def load(ckpt_path: str) -> ClipVisionModel:
    """Open a vision encoder."""
    return ClipVisionModel.of(load_vision(Path(ckpt_path)))


def load_clipvision_from_sd(
    sd: Mapping[str, Tensor], prefix: str = "", convert_keys: bool = False
) -> ClipVisionModel:
    """A vision encoder of tensors."""
    given = {name.removeprefix(prefix): value for name, value in sd.items() if name.startswith(prefix)}
    return ClipVisionModel.of(vision_encoder(given, Path("the given tensors")))
