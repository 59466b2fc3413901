"""Models in folders, as diffusers saves them: `unet`, `vae`, `text_encoder` and `text_encoder_2`.

What a folder's files hold is put together as a checkpoint would hold it, and read as one.
"""

from __future__ import annotations

from pathlib import Path

from torch import Tensor

from comfykit.errors import ModelFileError
from comfykit.families.load import Checkpoint, assembled
from comfykit.families.load_text import one_clip
from comfykit.weights import diffusers_unet
from comfykit.weights.detect import UNET_PREFIX, detect
from comfykit.weights.read import WeightsFile, open_weights

# Half precision first, which is half to read; pickles last.
NETWORK_FILES = tuple(
    f"diffusion_pytorch_model{ending}"
    for ending in (".fp16.safetensors", ".safetensors", ".fp16.bin", ".bin")
)
TEXT_FILES = ("model.fp16.safetensors", "model.safetensors", "pytorch_model.fp16.bin", "pytorch_model.bin")

TEXT_PLACES = {
    "text_encoder": "text_encoders.clip_l.transformer.",
    "text_encoder_2": "text_encoders.clip_g.transformer.",
}


def load_diffusers(folder: Path) -> Checkpoint:
    """Open a model in a folder; its weights stay in the files until they are used.

    Raises `ModelFileError` where a part is missing or of a family that comfykit does not run.
    """
    if not (folder / "unet").is_dir():
        raise ModelFileError(
            f"{folder} holds no U-Net in a folder 'unet'",
            hint="comfykit runs SD 1.x, SD 2.x and SDXL from folders in diffusers' layout",
            path=str(folder),
        )
    unet = _part(folder / "unet", NETWORK_FILES)
    if diffusers_unet.SIGN in unet:
        unet = diffusers_unet.in_checkpoint_layout(unet)
    tensors = {UNET_PREFIX + name: tensor for name, tensor in unet.items()}
    tensors |= {
        f"first_stage_model.{name}": tensor for name, tensor in _part(folder / "vae", NETWORK_FILES).items()
    }
    for name, prefix in TEXT_PLACES.items():
        if (folder / name).is_dir():
            own = _part(folder / name, TEXT_FILES)
            tensors |= {prefix + key: tensor for key, tensor in own.items()}
    file = WeightsFile(folder, tensors, {})
    found = detect(file.shapes)
    # The text encoder of SD 2.x ends here with the layer that is read.
    return assembled(file, found, text=one_clip if found.family.startswith("sd2") else None)


def _part(folder: Path, names: tuple[str, ...]) -> dict[str, Tensor]:
    """The tensors of the first of these files that is there."""
    path = next((folder / name for name in names if (folder / name).is_file()), None)
    if path is None:
        raise ModelFileError(
            f"{folder} holds none of {', '.join(names)}",
            hint="fetch the whole folder; files in several pieces are not read",
            path=str(folder),
        )
    return open_weights(path).tensors
