"""ComfyUI's `comfy.utils`: weights files, resizing, tiles, progress, and small things about tensors."""

from __future__ import annotations

import math
import secrets
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional as F

from comfykit.compat import running, runtime, tiles, unet_names
from comfykit.events import NodePreview, NodeProgress
from comfykit.nodes import resize
from comfykit.weights.magic import sniff
from comfykit.weights.read import open_pickle, open_weights

UNET_MAP_ATTENTIONS = unet_names.ATTENTIONS
UNET_MAP_RESNET = unet_names.RESNET
UNET_MAP_BASIC = unet_names.BASIC
TRANSFORMER_BLOCKS = unet_names.TRANSFORMER

# A pack may switch the bars in the terminal off; progress is reported all the same.
PROGRESS_BAR_ENABLED = True
PROGRESS_BAR_HOOK: Callable[..., None] | None = None

# Pickles are only ever opened with `weights_only`.
ALWAYS_SAFE_LOAD = True


class _Unset:
    """Stands for an attribute that was not there."""


ATTR_UNSET = _Unset()


# Weights files


def load_torch_file(
    ckpt: str | Path,
    safe_load: bool = False,
    device: torch.device | str | None = None,
    return_metadata: bool = False,
) -> Any:
    """The tensors of a weights file by name, mapped from it; no pickle runs code, whatever `safe_load` says.

    With `return_metadata` also what a safetensors file says of itself, None for others. Raises
    `ModelFileError` for a file that cannot be opened safely.
    """
    path = Path(ckpt)
    metadata: Mapping[str, str] | None = None
    tensors: dict[Any, Any]
    if sniff(path) in ("zip", "pickle") and path.suffix.lower() not in (".safetensors", ".sft"):
        tensors = _state_dict(open_pickle(path))
    else:
        opened = open_weights(path)
        tensors, metadata = opened.tensors, opened.metadata or None
    if device is not None and torch.device(device).type != "cpu":
        tensors = {
            name: value.to(device) if isinstance(value, Tensor) else value for name, value in tensors.items()
        }
    return (tensors, metadata) if return_metadata else tensors


def _state_dict(content: dict[Any, Any]) -> dict[Any, Any]:
    """What training code wrapped in "state_dict", or in the only entry there is."""
    inner = content.get("state_dict") if "state_dict" in content else None
    if inner is None and len(content) == 1:
        inner = next(iter(content.values()))
    return inner if isinstance(inner, dict) else content


def save_torch_file(
    sd: Mapping[str, Tensor], ckpt: str | Path, metadata: Mapping[str, str] | None = None
) -> None:
    """Write tensors to a safetensors file, which appears whole."""
    path = Path(ckpt)
    partial = path.with_name(f".{path.name}-{secrets.token_hex(6)}.part")
    try:
        save_file({name: tensor.contiguous() for name, tensor in sd.items()}, partial, _texts(metadata))
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _texts(metadata: Mapping[str, str] | None) -> dict[str, str] | None:
    return None if metadata is None else {name: str(said) for name, said in metadata.items()}


def safetensors_header(safetensors_path: str | Path, max_size: int = 100 * 1024 * 1024) -> bytes | None:
    """The header of a safetensors file as it is written, None where it is longer than `max_size`."""
    with Path(safetensors_path).open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        return None if length > max_size else file.read(length)


def calculate_parameters(sd: Mapping[str, Tensor], prefix: str = "") -> int:
    """How many numbers the tensors have whose names begin with `prefix`."""
    return sum(tensor.nelement() for name, tensor in sd.items() if name.startswith(prefix))


def weight_dtype(sd: Mapping[str, Tensor], prefix: str = "") -> torch.dtype | None:
    """The type that most numbers have of the tensors whose names begin with `prefix`; None for no tensors."""
    counts: Counter[torch.dtype] = Counter()
    for name, tensor in sd.items():
        if name.startswith(prefix):
            counts[tensor.dtype] += tensor.numel()
    return counts.most_common(1)[0][0] if counts else None


def convert_sd_to(state_dict: dict[str, Tensor], dtype: torch.dtype) -> dict[str, Tensor]:
    """The same dictionary, its tensors in another type."""
    for name, tensor in state_dict.items():
        state_dict[name] = tensor.to(dtype)
    return state_dict


def state_dict_key_replace(
    state_dict: dict[str, Tensor], keys_to_replace: Mapping[str, str]
) -> dict[str, Tensor]:
    """The same dictionary with some names changed."""
    for old, new in keys_to_replace.items():
        if old in state_dict:
            state_dict[new] = state_dict.pop(old)
    return state_dict


def state_dict_prefix_replace(
    state_dict: dict[str, Tensor], replace_prefix: Mapping[str, str], filter_keys: bool = False
) -> dict[str, Tensor]:
    """Names that begin with a prefix get another; with `filter_keys`, in a new dictionary of those alone."""
    found: dict[str, Tensor] = {} if filter_keys else state_dict
    for old, new in replace_prefix.items():
        for name in [name for name in state_dict if name.startswith(old)]:
            found[new + name[len(old) :]] = state_dict.pop(name)
    return found


def unet_to_diffusers(unet_config: Mapping[str, Any]) -> dict[str, str]:
    """diffusers' names of a U-Net's parameters to those of checkpoints."""
    return unet_names.unet_names(unet_config)


# Attributes along a dotted path


def _owner(obj: Any, attr: str) -> tuple[Any, str]:
    *path, last = attr.split(".")
    for name in path:
        obj = getattr(obj, name)
    return obj, last


def set_attr(obj: Any, attr: str, value: Any) -> Any:
    """Set "a.b.c" and give what was there; `ATTR_UNSET` as value removes it."""
    owner, name = _owner(obj, attr)
    before = getattr(owner, name, ATTR_UNSET)
    if value is ATTR_UNSET:
        delattr(owner, name)
    else:
        setattr(owner, name, value)
    return before


def set_attr_param(obj: Any, attr: str, value: Tensor) -> Any:
    """Set a tensor as a parameter that takes no gradient."""
    if not value.is_inference() or torch.is_inference_mode_enabled():
        return set_attr(obj, attr, nn.Parameter(value, requires_grad=False))
    return set_attr(obj, attr, nn.Parameter(value.clone(), requires_grad=False))


def copy_to_param(obj: Any, attr: str, value: Tensor) -> None:
    """Write a tensor into the one that is there."""
    owner, name = _owner(obj, attr)
    getattr(owner, name).data.copy_(value)


def get_attr(obj: Any, attr: str) -> Any:
    """What "a.b.c" leads to."""
    owner, name = _owner(obj, attr)
    return getattr(owner, name)


# Sizes


def repeat_to_batch_size(tensor: Tensor, batch_size: int, dim: int = 0) -> Tensor:
    """A tensor with that many rows: cut off, or repeated from the start."""
    rows = tensor.shape[dim]
    if rows > batch_size:
        return tensor.narrow(dim, 0, batch_size)
    if rows == batch_size:
        return tensor
    times = [math.ceil(batch_size / rows) if index == dim else 1 for index in range(tensor.ndim)]
    return tensor.repeat(times).narrow(dim, 0, batch_size)


def resize_to_batch_size(tensor: Tensor, batch_size: int) -> Tensor:
    """A tensor with that many rows, evenly taken from those there are."""
    rows = tensor.shape[0]
    if rows == batch_size:
        return tensor
    if batch_size <= 1:
        return tensor[:batch_size]
    if batch_size < rows:
        wanted = [round(index * (rows - 1) / (batch_size - 1)) for index in range(batch_size)]
    else:
        wanted = [min(int((index + 0.5) * rows / batch_size), rows - 1) for index in range(batch_size)]
    return tensor[wanted]


def reshape_mask(input_mask: Tensor, output_shape: Sequence[int]) -> Tensor:
    """A mask as large as a latent [batch, channels, ...]: resized, repeated over channels and batch."""
    dims = len(output_shape) - 2
    mode = {1: "linear", 2: "bilinear", 3: "trilinear"}[dims]
    side = tuple(input_mask.shape[-2:])
    if dims == 1:
        mask = input_mask.reshape((-1, 1, side[-1]))
    elif dims == 3:
        mask = input_mask.reshape((1, 1, -1, *side)) if input_mask.ndim < 5 else input_mask
    else:
        mask = input_mask.reshape((-1, 1, *side))
    mask = F.interpolate(mask, size=tuple(output_shape[2:]), mode=mode)
    if mask.shape[1] < output_shape[1]:
        mask = mask.repeat((1, output_shape[1]) + (1,) * dims)[:, : output_shape[1]]
    return repeat_to_batch_size(mask, output_shape[0])


def bislerp(samples: Tensor, width: int, height: int) -> Tensor:
    """Bilinear interpolation of the directions and lengths of latent vectors."""
    return resize.bislerp(samples, width, height)


def lanczos(samples: Tensor, width: int, height: int) -> Tensor:
    """Pillow's windowed sinc filter, through 8 bits."""
    return resize.lanczos(samples, width, height)


def common_upscale(samples: Tensor, width: int, height: int, upscale_method: str, crop: str) -> Tensor:
    """Resize [batch, channels, (frames,) height, width]; crop "center" keeps the middle of that aspect."""
    if samples.ndim <= 4:
        return resize.resize(samples, width, height, upscale_method, crop)
    batch, channels = samples.shape[:2]
    frames = samples.movedim(1, -3)
    flat = frames.reshape(-1, channels, *samples.shape[-2:])
    resized = resize.resize(flat, width, height, upscale_method, crop)
    return resized.reshape(batch, *frames.shape[1:-3], channels, height, width).movedim(-3, 1)


# Tiles


def get_tiled_scale_steps(width: int, height: int, tile_x: int, tile_y: int, overlap: int) -> int:
    """How many tiles a picture has."""
    return len(tiles.spans(height, tile_y, overlap)) * len(tiles.spans(width, tile_x, overlap))


@torch.inference_mode()
def tiled_scale_multidim(
    samples: Tensor,
    function: Callable[[Tensor], Tensor],
    tile: Sequence[int] = (64, 64),
    overlap: int | Sequence[int] = 8,
    upscale_amount: Any = 4,
    out_channels: int = 3,
    output_device: torch.device | str = "cpu",
    downscale: bool = False,
    index_formulas: Any = None,
    pbar: ProgressBar | None = None,
) -> Tensor:
    """Apply a function to tensors [batch, channels, ...] tile by tile; see `comfykit.compat.tiles`.

    `upscale_amount` and `index_formulas` are numbers, or functions of a length and of a position, for all
    dimensions or for each; with `downscale` numbers divide. `out_channels` follows from the function.
    """
    dims = len(tile)
    sizes = _for_each(upscale_amount, dims, downscale)
    places = sizes if index_formulas is None else _for_each(index_formulas, dims, downscale)
    overlaps = list(overlap) if isinstance(overlap, Sequence) else [overlap] * dims

    def done() -> None:
        if pbar is not None:
            pbar.update(1)

    device = torch.device(output_device)
    rows = [
        tiles.apply_tiled(row, function, tile, overlaps, sizes, places, done, device)
        for row in torch.split(samples, 1)
    ]
    return torch.cat(rows)


def _for_each(scale: Any, dims: int, downscale: bool) -> list[tiles.Scale]:
    scales = list(scale) if isinstance(scale, list | tuple) else [scale] * dims
    return [1 / one if downscale and not callable(one) else one for one in scales]


def tiled_scale(
    samples: Tensor,
    function: Callable[[Tensor], Tensor],
    tile_x: int = 64,
    tile_y: int = 64,
    overlap: int = 8,
    upscale_amount: Any = 4,
    out_channels: int = 3,
    output_device: torch.device | str = "cpu",
    pbar: ProgressBar | None = None,
) -> Tensor:
    """Apply a function to pictures [batch, channels, height, width] tile by tile."""
    found: Tensor = tiled_scale_multidim(
        samples, function, (tile_y, tile_x), overlap, upscale_amount, out_channels, output_device, pbar=pbar
    )
    return found


# Progress


def set_progress_bar_enabled(enabled: bool) -> None:
    global PROGRESS_BAR_ENABLED  # noqa: PLW0603
    PROGRESS_BAR_ENABLED = enabled


def set_progress_bar_global_hook(function: Callable[..., None] | None) -> None:
    """A function that is told of all progress too: value, total, preview, node_id."""
    global PROGRESS_BAR_HOOK  # noqa: PLW0603
    PROGRESS_BAR_HOOK = function


class ProgressBar:
    """Reports how far a node is; stops the node where the run is to stop."""

    def __init__(self, total: int, node_id: Any = None) -> None:
        self.total = total
        self.current = 0
        self.hook = PROGRESS_BAR_HOOK
        self.node_id = node_id

    def update_absolute(self, value: int, total: int | None = None, preview: Any = None) -> None:
        """`value` of `total` steps are done; `preview` is (format, picture, longest side)."""
        if total is not None:
            self.total = total
        self.current = min(value, self.total)
        node = runtime.context().node if self.node_id is None else str(self.node_id)
        if self.total > 0:
            runtime.report(NodeProgress(node, int(self.current), int(self.total)))
        if preview is not None and running.settings().preview_method != "none":
            runtime.report(NodePreview(node, lambda side: _shown(preview[1], side)))
        if self.hook is not None:
            self.hook(self.current, self.total, preview, node_id=self.node_id)
        runtime.stop_if_interrupted()

    def update(self, value: int) -> None:
        """`value` further steps are done."""
        self.update_absolute(self.current + value)


def _shown(picture: Any, side: int) -> Any:
    small = picture.copy()
    small.thumbnail((side, side))
    return small
