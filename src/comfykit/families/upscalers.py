"""UPSCALE_MODEL: a network that enlarges pictures by a fixed factor."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from comfykit.errors import ModelFileError
from comfykit.families.tiling import count_tiles, tiled
from comfykit.memory import Residency
from comfykit.models.esrgan import RRDBNet
from comfykit.weights.detect import detect, require
from comfykit.weights.load import build
from comfykit.weights.read import open_weights
from comfykit.weights.upscaler_layout import esrgan_tensors, rrdbnet_config

TILE = 512
OVERLAP = 32
LEAST_TILE = 128

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True, eq=False)
class Upscaler:
    """An upscaling network, whose weights stay in their file until they are used."""

    network: RRDBNet

    @property
    def scale(self) -> float:
        """How much longer the sides of a picture become."""
        return self.network.config.scale

    def upscale(self, pixels: Tensor, residency: Residency, progress: Progress) -> Tensor:
        """Enlarged pictures [batch, height, width, 3] in 0 to 1, float32 on the CPU, made tile by tile.

        Where a tile does not fit into the device's memory, tiles get half the size, down to 128 pixels.
        `progress` is told tiles done and tiles in all.
        """
        dtype = compute_dtype(residency)
        residency.place(self.network, residency.device, dtype, channels_last=True)
        tile = TILE
        while True:
            try:
                return self._upscale(pixels, residency.device, dtype, tile, progress)
            except torch.OutOfMemoryError:
                if tile // 2 < LEAST_TILE:
                    raise
                tile //= 2

    def _upscale(
        self, pixels: Tensor, device: torch.device, dtype: torch.dtype, tile: int, progress: Progress
    ) -> Tensor:
        pictures = pixels[..., : self.network.config.in_channels].movedim(-1, 1)
        total = len(pictures) * count_tiles(pictures.shape[-2], pictures.shape[-1], tile, OVERLAP)
        done = 0

        def on_tile() -> None:
            nonlocal done
            done += 1
            progress(done, total)

        def enlarge(part: Tensor) -> Tensor:
            return self.network(part.to(device, dtype))  # type: ignore[no-any-return]

        made = [tiled(picture[None], enlarge, self.scale, tile, OVERLAP, on_tile) for picture in pictures]
        return torch.cat(made).clamp_(0.0, 1.0).movedim(1, -1)


def compute_dtype(residency: Residency) -> torch.dtype:
    """float32 on a CPU; on a GPU what the U-Net takes, but never bfloat16, whose 8 bits show in a picture."""
    if residency.device.type == "cpu" or residency.dtype("unet") is torch.float32:
        return torch.float32
    return torch.float16


def load_upscaler(path: Path) -> Upscaler:
    """Open an upscaler. Raises `ModelFileError` that says what the file is when it is none, or another."""
    file = open_weights(path)
    try:
        require(detect(file.shapes), "upscaler")
        tensors = esrgan_tensors(file.tensors)
        config = rrdbnet_config({name: tuple(tensor.shape) for name, tensor in tensors.items()})
        if config.in_channels != 3:
            raise ModelFileError(f"it takes pictures of {config.in_channels} channels, not of 3")
    except ModelFileError as error:
        raise ModelFileError(
            f"{path}: {error}", hint=error.hint, **{**error.facts, "path": str(path)}
        ) from error
    return Upscaler(build(lambda: RRDBNet(config), tensors, what=f"the upscaler {path.name}"))
