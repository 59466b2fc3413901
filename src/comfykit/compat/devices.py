"""Devices and number formats, as ComfyUI's `comfy.model_management` answers for them.

The device and the types of the run come from its `Residency`; what is not a question of the run follows from
the device alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import psutil
import torch
from torch import Tensor, nn

from comfykit import memory
from comfykit.compat import placing

Device: TypeAlias = torch.device | str | None

CPU = torch.device("cpu")
COMPUTE_TYPES = (torch.float16, torch.bfloat16, torch.float32)
FLOAT8_TYPES = [torch.float8_e4m3fn, torch.float8_e4m3fnuz, torch.float8_e5m2, torch.float8_e5m2fnuz]


def of_run() -> torch.device:
    """The device that networks compute on."""
    return placing.residency().device


def resolved(device: Device) -> torch.device:
    """A device, that of the run where none is given."""
    return of_run() if device is None else torch.device(device)


def total_memory(device: Device = None) -> int:
    """Bytes of memory that a device has."""
    found = resolved(device)
    if found.type == "cuda":
        return int(torch.cuda.get_device_properties(found).total_memory)
    return int(psutil.virtual_memory().total)


def free_memory(device: Device = None) -> tuple[int, int]:
    """Bytes that a device could still give, and those of them that PyTorch holds there already."""
    found = resolved(device)
    held = 0
    if found.type == "cuda":
        held = torch.cuda.memory_reserved(found) - torch.cuda.memory_allocated(found)
    return memory.free_memory(found), held


def name(device: Device) -> str:
    """A device for a log: its kind, and what a GPU is called."""
    found = resolved(device)
    if found.type != "cuda":
        return str(found)
    return f"{found} {torch.cuda.get_device_name(found)}"


def unet_dtype(device: Device, supported: Sequence[torch.dtype]) -> torch.dtype:
    """The type a diffusion model computes in; the first supported one that fits where that is not."""
    found = resolved(device)
    wanted = placing.residency().dtype("unet")
    if found.type == "cpu" and wanted is torch.float16:
        wanted = torch.float32
    return wanted if wanted in supported or not supported else _first_of(supported, found)


def _first_of(supported: Sequence[torch.dtype], device: torch.device) -> torch.dtype:
    return next((dtype for dtype in supported if computes_in(device, dtype)), torch.float32)


def computes_in(device: Device, dtype: torch.dtype) -> bool:
    """Whether a device has arithmetic for a type that is worth using."""
    if dtype is torch.float32:
        return True
    return resolved(device).type != "cpu" and dtype in (torch.float16, torch.bfloat16)


def uses_fp16(device: Device) -> bool:
    """Whether float16 is right on a device: not on a CPU, and not where settings ask for another type."""
    return (
        resolved(device).type == "cuda"
        and placing.residency().device.type == "cuda"
        and placing.residency().dtype("unet") is torch.float16
    )


def uses_bf16(device: Device) -> bool:
    """Whether bfloat16 may be used on a device."""
    return resolved(device).type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)


def module_size(module: nn.Module) -> int:
    """Bytes of a module's parameters and buffers."""
    return sum(tensor.nelement() * tensor.element_size() for tensor in module.state_dict().values())


def cast(
    weight: Tensor,
    dtype: torch.dtype | None = None,
    device: Device = None,
    non_blocking: bool = False,
    copy: bool = False,
) -> Tensor:
    """A tensor of that type on that device; the same one where it is so already, unless `copy`."""
    where: Any = weight.device if device is None else torch.device(device)
    return weight.to(device=where, dtype=dtype or weight.dtype, non_blocking=non_blocking, copy=copy)
