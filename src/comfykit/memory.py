"""Where networks compute and in which type, and which of them are there.

Weights files are mapped into memory. A network that computes in the type of its file, on the CPU, reads
the mapped bytes themselves; any other gets a copy, converted tensor by tensor, and gives it up again when
the room is needed: the mapped tensors stay, to go back to. Patches (a LoRA, a merge) are applied on the way
into a copy, always from the file's bytes, so that they come off without a trace.
"""

from __future__ import annotations

import ctypes
import functools
import mmap
import weakref
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol, TypeAlias

import psutil
import torch
from torch import Tensor, nn

from comfykit.errors import UsageError

Part: TypeAlias = Literal["unet", "vae", "text"]

_FORCED = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}

# What CPUs that multiply bfloat16 call it, in PyTorch's words and the Linux kernel's.
_BFLOAT16_FLAGS = ("avx512_bf16", "amx_bf16", "bf16")

# Placements whose copies are set aside at most: those of three hooked regions, and of none.
MOST_ASIDE = 3

# Left free for what a step computes with: activations, attention, the runtime's own.
HEADROOM = 1 << 30


def choose_device(setting: str) -> torch.device:
    """The device for `auto`, `cpu` or `cuda`; `auto` is CUDA where PyTorch finds it, else the CPU.

    Raises `UsageError` where CUDA is asked for and not there, saying why.
    """
    if setting == "cuda" and not torch.cuda.is_available():
        built_without = torch.version.cuda is None and torch.version.hip is None
        why = (
            f"PyTorch {torch.__version__} is built without CUDA"
            if built_without
            else "PyTorch finds no usable GPU or driver"
        )
        raise UsageError(
            f"device 'cuda' cannot be used: {why}", hint="run 'comfykit doctor', or use --device cpu"
        )
    if setting == "cuda" or (setting == "auto" and torch.cuda.is_available()):
        return torch.device("cuda", torch.cuda.current_device())
    if setting in ("auto", "cpu"):
        return torch.device("cpu")
    raise UsageError(f"device {setting!r} is not one of auto, cpu, cuda")


def choose_dtype(precision: str, device: torch.device, part: Part) -> torch.dtype:
    """The type that a part computes in for `auto`, `fp32`, `fp16` or `bf16` on a device.

    `auto` takes half precision for the U-Net where the device has arithmetic for it. On a CPU the
    autoencoder stays in float32, as bfloat16 moves pixels by 1 of 255 in the mean; on a GPU it never
    takes float16, asked or not, where its activations can overflow.

    Raises `UsageError` for fp16 on a CPU.
    """
    if precision not in ("auto", *_FORCED):
        raise UsageError(f"precision {precision!r} is not one of auto, {', '.join(_FORCED)}")
    if device.type == "cpu":
        return _cpu_dtype(precision, part)
    if part == "vae" and precision in ("auto", "fp16"):
        native = torch.cuda.is_bf16_supported(including_emulation=False)
        return torch.bfloat16 if native else torch.float32
    return _FORCED.get(precision, torch.float16)


def _cpu_dtype(precision: str, part: Part) -> torch.dtype:
    if precision == "fp16":
        raise UsageError(
            "fp16 cannot be used on a CPU: it would compute several times slower than fp32",
            hint="use --precision auto; fp16 files load with every precision",
        )
    if precision == "auto":
        return torch.bfloat16 if part == "unet" and cpu_has_bfloat16() else torch.float32
    return _FORCED[precision]


@functools.cache
def cpu_has_bfloat16() -> bool:
    """Whether the CPU multiplies bfloat16 in hardware (AVX512-BF16, AMX, ARMv8.6 BF16)."""
    if hasattr(torch.cpu, "get_capabilities"):  # newer than the oldest PyTorch that comfykit runs on
        capabilities = torch.cpu.get_capabilities()
        return any(bool(capabilities.get(name)) for name in _BFLOAT16_FLAGS)
    cpuinfo = Path("/proc/cpuinfo")
    if not cpuinfo.is_file():
        return False
    words = set(cpuinfo.read_text(encoding="utf-8", errors="replace").split())
    return not words.isdisjoint(_BFLOAT16_FLAGS)


def free_memory(device: torch.device) -> int:
    """Bytes that a device could still give: on a GPU with what PyTorch holds there unused."""
    if device.type == "cpu":
        return int(psutil.virtual_memory().available)
    free, _ = torch.cuda.mem_get_info(device)
    return free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)


class Patching(Protocol):
    """Changes to a module's parameters, by name; see `comfykit.weights.patch`."""

    def entries(self, name: str) -> Sequence[object]:
        """What changes a parameter; equal where it changes it alike, empty where nothing does."""
        ...

    def apply(self, name: str, weight: Tensor) -> Tensor:
        """The changed parameter in float32, on the device of `weight`; that one stays as it is."""
        ...


@dataclass(slots=True)
class _Resident:
    """A placed module: how its tensors are to be, and what its copies stand in for.

    `sources` are the file's tensors that have copies, `patched` the patches in copies, by parameter.
    `aside` are copies that had to make way, by the patches of the placement that made them and by parameter.
    """

    device: torch.device
    dtype: torch.dtype
    channels_last: bool
    patches: Patching | None = None
    sources: dict[str, Tensor] = field(default_factory=dict)
    patched: dict[str, Sequence[object]] = field(default_factory=dict)
    aside: dict[Patching | None, dict[str, Tensor]] = field(default_factory=dict)

    def target(self, tensor: Tensor) -> tuple[torch.dtype, torch.memory_format]:
        """Type and layout that a tensor should have; whole numbers keep their type."""
        wanted = self.dtype if tensor.is_floating_point() else tensor.dtype
        moves = tensor.device != self.device or tensor.dtype != wanted
        channels_last = self.channels_last or (moves and wanted.itemsize == 2)
        return wanted, torch.channels_last if channels_last and tensor.dim() == 4 else torch.preserve_format

    def fits(self, source: Tensor) -> bool:
        """Whether a tensor of the file can be used as it is."""
        dtype, layout = self.target(source)
        if source.device != self.device or source.dtype != dtype:
            return False
        return layout is torch.preserve_format or source.is_contiguous(memory_format=layout)

    def lacks(self, name: str, tensor: Tensor, patches: Patching | None) -> bool:
        """Whether a tensor has to be made anew, to be placed with `patches`."""
        entries = patches.entries(name) if patches is not None else ()
        settled = name in self.sources or self.fits(tensor)
        return not settled or entries != self.patched.get(name, ())


class Residency:
    """Places modules on the device that settings ask for, and remembers which it may send back.

    `device` and `precision` are those of the settings; `free` tells the free bytes of a device.
    """

    def __init__(
        self,
        device: str = "auto",
        precision: str = "auto",
        free: Callable[[torch.device], int] = free_memory,
    ) -> None:
        self.device = choose_device(device)
        self._precision = precision
        self._free = free
        # From the least recently to the most recently placed; a module that nobody holds any more drops out.
        self._residents: weakref.WeakKeyDictionary[nn.Module, _Resident] = weakref.WeakKeyDictionary()

    def dtype(self, part: Part) -> torch.dtype:
        """The type that a part computes in here."""
        return choose_dtype(self._precision, self.device, part)

    def place_part(self, module: nn.Module, part: Part, patches: Patching | None = None) -> None:
        """Place a module where, and in the type in which, its part computes."""
        # The autoencoder is nearly all convolutions: that layout makes it a fifth faster on a CPU.
        self.place(module, self.device, self.dtype(part), channels_last=part == "vae", patches=patches)

    def place(
        self,
        module: nn.Module,
        device: torch.device,
        dtype: torch.dtype,
        *,
        channels_last: bool = False,
        patches: Patching | None = None,
        keep: Collection[nn.Module] = (),
        set_aside: bool = False,
    ) -> None:
        """Make a module ready to compute on a device in a type; does nothing where it is.

        Tensors that fit as they are stay those of the file. Those that do not are copied one by one,
        convolutions in half precision channels-last, as they run best; `channels_last` asks for that in every
        type, by a copy where need be. Parameters that `patches` change are copies too: computed in float32
        on the device from the file's tensor and stored in `dtype`; a module that is placed again with other
        patches has only those parameters made anew whose patches differ. Modules placed longest ago make
        room where memory is short, but not those in `keep`, which work together with this one.

        With `set_aside`, for a module that goes to and fro between patches, the copies that it has are kept
        for when it comes back: those of the last placements, while there is room for them, and until
        something else is placed that this module is not in `keep` of.
        """
        resident = self._residents.pop(module, None)
        for other, left in self._residents.items():
            if other not in keep:
                left.aside.clear()
        if resident is not None and not set_aside:
            resident.aside.clear()
        if resident is not None and (resident.device, resident.dtype) != (device, dtype):
            _restore(module, resident)
            resident = None
        fresh = resident is None
        resident = resident or _Resident(device, dtype, channels_last)
        if fresh or resident.patches is not patches:
            try:
                size = _bytes_to_copy(module, resident, patches, set_aside)
                if set_aside and self._free(device) < size + HEADROOM:
                    resident.aside.clear()
                    set_aside, size = False, _bytes_to_copy(module, resident, patches)
                self.make_room(size, device, keep)
                # Tensors made in inference mode could never be used outside it.
                with torch.inference_mode(False):
                    _fill(module, resident, patches, set_aside)
            except BaseException:
                _restore(module, resident)
                raise
        self._residents[module] = resident

    def sources(self, module: nn.Module) -> Mapping[str, Tensor]:
        """A module's tensors as its file has them, whatever copies stand in for them now."""
        resident = self._residents.get(module)
        copied = resident.sources if resident else {}
        return {name: copied.get(name, tensor.detach()) for name, tensor in _tensors(module)}

    def make_room(
        self, size: int, device: torch.device | None = None, keep: Collection[nn.Module] = ()
    ) -> None:
        """Unload modules, those placed longest ago first, until `size` bytes and some headroom are free.

        Those in `keep` stay. What was set aside goes first.
        """
        device = self.device if device is None else device
        for resident in self._residents.values():
            if resident.device == device and resident.aside and self._free(device) < size + HEADROOM:
                resident.aside.clear()
        for module, resident in list(self._residents.items()):
            if self._free(device) >= size + HEADROOM:
                return
            if resident.device == device and resident.sources and module not in keep:
                self.unload(module)

    def unload(self, module: nn.Module) -> None:
        """Give a module its file's tensors back, and the device the memory of the copies."""
        resident = self._residents.pop(module, None)
        if resident is None:
            return
        _restore(module, resident)
        if resident.device.type == "cuda":
            torch.cuda.empty_cache()

    def clear(self) -> None:
        """Unload everything."""
        for module in list(self._residents):
            self.unload(module)

    def resident_bytes(self, device: torch.device | None = None) -> int:
        """Bytes of the copies that placed modules hold on a device."""
        device = self.device if device is None else device
        return sum(
            tensor.nbytes
            for module, resident in self._residents.items()
            for name, tensor in _tensors(module)
            if resident.device == device and name in resident.sources
        )


def _tensors(module: nn.Module) -> Iterator[tuple[str, Tensor]]:
    yield from module.named_parameters()
    yield from module.named_buffers()


def _fill(module: nn.Module, resident: _Resident, patches: Patching | None, set_aside: bool = False) -> None:
    """Make the tensors of a module that are not yet as they should be, or take those that were set aside."""
    files: list[tuple[int, int]] | None = None
    ready = resident.aside.pop(patches, {})
    replaced: dict[str, Tensor] = {}
    for name, tensor in _tensors(module):
        if not resident.lacks(name, tensor, patches):
            continue
        files = _file_mappings() if files is None else files
        source = resident.sources.get(name, tensor.detach())
        made = ready[name] if name in ready else _made(name, source, resident, patches)
        if set_aside and name in resident.sources:
            replaced[name] = tensor.detach()
        tensor.data = made
        if made.data_ptr() == source.data_ptr():
            resident.sources.pop(name, None)
        else:
            resident.sources[name] = source
            _forget_pages(source, files)
        resident.patched[name] = patches.entries(name) if patches is not None else ()
    if replaced:
        resident.aside[resident.patches] = replaced
        while len(resident.aside) > MOST_ASIDE:
            del resident.aside[next(iter(resident.aside))]
    resident.patches = patches


def _made(name: str, source: Tensor, resident: _Resident, patches: Patching | None) -> Tensor:
    """A tensor as a module should have it; the file's own where that is so already."""
    dtype, layout = resident.target(source)
    if patches is not None and patches.entries(name):
        source = patches.apply(name, source.to(resident.device))
    return source.to(resident.device, dtype, memory_format=layout)


def _restore(module: nn.Module, resident: _Resident) -> None:
    for name, tensor in _tensors(module):
        if name in resident.sources:
            tensor.data = resident.sources[name]
    resident.sources.clear()
    resident.patched.clear()
    resident.aside.clear()


def _file_mappings() -> list[tuple[int, int]]:
    """Address ranges of this process that are files mapped privately; none where the system does not say."""
    try:
        lines = Path("/proc/self/maps").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
    # Fields: first-last, permissions, offset, device, inode, path; anonymous memory has the inode 0.
    fields = (line.split(maxsplit=5) for line in lines)
    places = (field[0].split("-") for field in fields if field[1].endswith("p") and field[4] != "0")
    return [(int(first, 16), int(last, 16)) for first, last in places]


def _forget_pages(tensor: Tensor, files: list[tuple[int, int]]) -> None:
    """Let the system have the pages of a tensor that is a file's bytes; they are read again when used.

    Without it, a file that was converted counts twice until the system runs out of memory.
    """
    begin, end = tensor.data_ptr(), tensor.data_ptr() + tensor.nbytes
    if not any(first <= begin and end <= last for first, last in files):
        return
    begin, end = -(-begin // mmap.PAGESIZE) * mmap.PAGESIZE, end // mmap.PAGESIZE * mmap.PAGESIZE
    if begin < end:
        ctypes.CDLL(None).madvise(ctypes.c_void_p(begin), ctypes.c_size_t(end - begin), mmap.MADV_DONTNEED)


def _bytes_to_copy(
    module: nn.Module, resident: _Resident, patches: Patching | None, set_aside: bool = False
) -> int:
    """Bytes that placing a module with patches will take beside what it has, and has set aside."""
    ready = resident.aside.get(patches, {})
    return sum(
        tensor.numel() * resident.target(tensor)[0].itemsize
        for name, tensor in _tensors(module)
        if name not in ready
        and (set_aside or name not in resident.sources)
        and resident.lacks(name, tensor, patches)
    )
