"""ComfyUI's `comfy.model_management`: devices, types, memory, interruption, and models on the device."""

from __future__ import annotations

import enum
import gc
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import psutil
import torch
from torch import Tensor, nn

from comfykit.compat import devices, placing, runtime
from comfykit.compat.devices import COMPUTE_TYPES, CPU, Device
from comfykit.errors import Interrupted

OOM_EXCEPTION = torch.OutOfMemoryError


class VRAMState(enum.Enum):
    DISABLED = 0
    NO_VRAM = 1
    LOW_VRAM = 2
    NORMAL_VRAM = 3
    HIGH_VRAM = 4
    SHARED = 5


class CPUState(enum.Enum):
    GPU = 0
    CPU = 1
    MPS = 2


# What other accelerators and options of ComfyUI's command line would set.
lowvram_available = True
directml_enabled = False
xpu_available = False
npu_available = False
mlu_available = False
XFORMERS_IS_AVAILABLE = False
XFORMERS_ENABLED_VAE = False
ENABLE_PYTORCH_ATTENTION = True
DISABLE_SMART_MEMORY = False
FORCE_FP32 = False
FORCE_FP16 = False
VAE_DTYPES = [torch.float32]
FLOAT8_TYPES = devices.FLOAT8_TYPES
MIN_WEIGHT_MEMORY_RATIO = 0.4
EXTRA_RESERVED_VRAM = 400 * 1024 * 1024
torch_version = torch.version.__version__
torch_version_numeric = tuple(int(part) for part in torch_version.split(".")[:2])
total_ram = psutil.virtual_memory().total / (1024 * 1024)


def __getattr__(name: str) -> Any:
    on_cpu = cpu_mode() if name in ("cpu_state", "vram_state", "set_vram_to") else False
    if name == "cpu_state":
        return CPUState.CPU if on_cpu else CPUState.GPU
    if name in ("vram_state", "set_vram_to"):
        return VRAMState.DISABLED if on_cpu else VRAMState.NORMAL_VRAM
    if name == "total_vram":
        return get_total_memory() / (1024 * 1024)
    raise AttributeError(name)


# Devices


def get_torch_device() -> torch.device:
    return devices.of_run()


def get_torch_device_name(device: Device) -> str:
    return devices.name(device)


def cpu_mode() -> bool:
    return devices.of_run().type == "cpu"


def mps_mode() -> bool:
    return devices.of_run().type == "mps"


def is_device_type(device: Any, type: str) -> bool:
    return getattr(device, "type", None) == type


def is_device_cpu(device: Any) -> bool:
    return is_device_type(device, "cpu")


def is_device_mps(device: Any) -> bool:
    return is_device_type(device, "mps")


def is_device_xpu(device: Any) -> bool:
    return is_device_type(device, "xpu")


def is_device_cuda(device: Any) -> bool:
    return is_device_type(device, "cuda")


def is_intel_xpu() -> bool:
    return False


def is_ascend_npu() -> bool:
    return False


def is_mlu() -> bool:
    return False


def is_directml_enabled() -> bool:
    return False


def is_nvidia() -> bool:
    return devices.of_run().type == "cuda" and torch.version.cuda is not None


def is_amd() -> bool:
    return devices.of_run().type == "cuda" and torch.version.hip is not None


def get_autocast_device(dev: Any) -> str:
    return str(getattr(dev, "type", "cuda"))


def device_supports_non_blocking(device: Any) -> bool:
    return is_device_cuda(device)


def force_channels_last() -> bool:
    return False


def unet_offload_device() -> torch.device:
    return CPU


def unet_inital_load_device(parameters: int, dtype: torch.dtype) -> torch.device:
    return CPU


def text_encoder_device() -> torch.device:
    return devices.of_run()


def text_encoder_offload_device() -> torch.device:
    return CPU


def text_encoder_initial_device(
    load_device: torch.device, offload_device: torch.device, model_size: int = 0
) -> torch.device:
    return offload_device


def vae_device() -> torch.device:
    return devices.of_run()


def vae_offload_device() -> torch.device:
    return CPU


def intermediate_device() -> torch.device:
    """Where pictures and latents travel between nodes."""
    return CPU


def intermediate_dtype() -> torch.dtype:
    """The type that pictures and latents travel in between nodes; of later versions than 0.3.64."""
    return torch.float32


# Types


def dtype_size(dtype: torch.dtype) -> int:
    return dtype.itemsize


def unet_dtype(
    device: Device = None,
    model_params: int = 0,
    supported_dtypes: Sequence[torch.dtype] = COMPUTE_TYPES,
    weight_dtype: torch.dtype | None = None,
) -> torch.dtype:
    """The type that diffusion models compute in here."""
    return devices.unet_dtype(device, supported_dtypes)


def unet_manual_cast(
    weight_dtype: torch.dtype | None,
    inference_device: torch.device,
    supported_dtypes: Sequence[torch.dtype] = COMPUTE_TYPES,
) -> torch.dtype | None:
    """The type to compute in where it is another than that of the weights; None where it is not."""
    wanted = devices.unet_dtype(inference_device, supported_dtypes)
    return None if weight_dtype in (None, wanted, torch.float32) else wanted


def text_encoder_dtype(device: Device = None) -> torch.dtype:
    """The type that text encoders are kept in; they compute in float32."""
    return torch.float16


def vae_dtype(device: Device = None, allowed_dtypes: Sequence[torch.dtype] = ()) -> torch.dtype:
    """The type that VAEs compute in here."""
    wanted = placing.residency().dtype("vae")
    return wanted if not allowed_dtypes or wanted in allowed_dtypes else torch.float32


def lora_compute_dtype(device: Device) -> torch.dtype:
    return torch.float32


def supports_dtype(device: Device, dtype: torch.dtype) -> bool:
    return devices.computes_in(device, dtype)


def supports_cast(device: Device, dtype: torch.dtype) -> bool:
    return dtype in (*COMPUTE_TYPES, *FLOAT8_TYPES)


def pick_weight_dtype(
    dtype: torch.dtype | None, fallback_dtype: torch.dtype | None, device: Device = None
) -> torch.dtype | None:
    return fallback_dtype if dtype is None else dtype


def should_use_fp16(
    device: Device = None,
    model_params: int = 0,
    prioritize_performance: bool = True,
    manual_cast: bool = False,
) -> bool:
    return devices.uses_fp16(device)


def should_use_bf16(
    device: Device = None,
    model_params: int = 0,
    prioritize_performance: bool = True,
    manual_cast: bool = False,
) -> bool:
    return devices.uses_bf16(device)


def supports_fp8_compute(device: Device = None) -> bool:
    """Never: weights of 8 bits are computed with in wider types."""
    return False


def cast_to(
    weight: Tensor,
    dtype: torch.dtype | None = None,
    device: Device = None,
    non_blocking: bool = False,
    copy: bool = False,
    stream: Any = None,
) -> Tensor:
    return devices.cast(weight, dtype, device, non_blocking, copy)


def cast_to_device(tensor: Tensor, device: Device, dtype: torch.dtype | None, copy: bool = False) -> Tensor:
    return devices.cast(tensor, dtype, device, copy=copy)


def get_offload_stream(device: Device) -> None:
    """None: weights are moved in the order of the computation."""


def sync_stream(device: Device, stream: Any) -> None:
    """Nothing to wait for without streams."""


# Attention: PyTorch's own is what networks here use


def pytorch_attention_enabled() -> bool:
    return True


def pytorch_attention_enabled_vae() -> bool:
    return True


def pytorch_attention_flash_attention() -> bool:
    return is_nvidia()


def xformers_enabled() -> bool:
    return False


def xformers_enabled_vae() -> bool:
    return False


def sage_attention_enabled() -> bool:
    return False


def flash_attention_enabled() -> bool:
    return False


def force_upcast_attention_dtype() -> None:
    """None: attention is computed in the type of its inputs."""


# Memory


def module_size(module: nn.Module) -> int:
    return devices.module_size(module)


def get_total_memory(dev: Device = None, torch_total_too: bool = False) -> Any:
    total = devices.total_memory(dev)
    return (total, total) if torch_total_too else total


def get_free_memory(dev: Device = None, torch_free_too: bool = False) -> Any:
    free, held = devices.free_memory(dev)
    return (free, held) if torch_free_too else free


def extra_reserved_memory() -> int:
    return EXTRA_RESERVED_VRAM


def minimum_inference_memory() -> int:
    """Bytes that are kept free for what a step computes with."""
    return int(1024 * 1024 * 1024 * 0.8) + extra_reserved_memory()


def maximum_vram_for_weights(device: Device = None) -> float:
    return float(get_total_memory(device) * 0.88 - minimum_inference_memory())


def soft_empty_cache(force: bool = False) -> None:
    """Give memory that PyTorch holds unused back to the device."""
    if devices.of_run().type == "cuda":
        torch.cuda.synchronize()
        torch.cuda.empty_cache()
        torch.cuda.ipc_collect()  # type: ignore[no-untyped-call]


def free_memory(
    memory_required: float, device: Device, keep_loaded: Sequence[LoadedModel] = ()
) -> list[LoadedModel]:
    """Unload models until so many bytes are free on a device; gives those of packs that had to go."""
    unloaded = []
    for loaded in list(current_loaded_models):
        if get_free_memory(device) >= memory_required:
            break
        if loaded not in keep_loaded and str(loaded.device) == str(device):
            loaded.model_unload()
            current_loaded_models.remove(loaded)
            unloaded.append(loaded)
    placing.residency().make_room(int(memory_required), torch.device(device) if device else None)
    return unloaded


def unload_all_models() -> None:
    """Unload every model; those of links come back when they are used."""
    for loaded in current_loaded_models:
        loaded.model_unload()
    current_loaded_models.clear()
    placing.residency().clear()
    soft_empty_cache()


# Models on the device, as packs hand them over: `comfy.model_patcher.ModelPatcher` and what looks like it


class LoadedModel:
    """A model patcher whose model is on its device."""

    def __init__(self, model: Any) -> None:
        self.model = model
        self.device = model.load_device
        self.currently_used = True

    def model_memory(self) -> int:
        return int(self.model.model_size())

    def model_loaded_memory(self) -> int:
        return _asked(self.model, "loaded_size", self.model_memory)

    def model_offloaded_memory(self) -> int:
        return self.model_memory() - self.model_loaded_memory()

    def model_memory_required(self, device: torch.device) -> int:
        there = str(getattr(self.model, "current_loaded_device", lambda: None)()) == str(device)
        return self.model_offloaded_memory() if there else self.model_memory()

    def model_load(self, lowvram_model_memory: float = 0, force_patch_weights: bool = False) -> Any:
        """Move the model to its device, patches applied; gives the model."""
        if hasattr(self.model, "model_patches_to"):
            self.model.model_patches_to(self.device)
        return self.model.patch_model(device_to=self.device)

    def model_unload(self, memory_to_free: float | None = None, unpatch_weights: bool = True) -> bool:
        self.model.detach(unpatch_weights)
        return True

    def is_dead(self) -> bool:
        return self.model is None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, LoadedModel) and self.model is other.model

    def __hash__(self) -> int:
        return id(self.model)


current_loaded_models: list[LoadedModel] = []


def load_models_gpu(
    models: Iterable[Any],
    memory_required: float = 0,
    force_patch_weights: bool = False,
    minimum_memory_required: float | None = None,
    force_full_load: bool = False,
) -> None:
    """Bring models to their devices with their patches, and make room for what they will compute with."""
    wanted = list(dict.fromkeys(models))
    for model in list(wanted):
        further: list[Any] = getattr(model, "model_patches_models", list)()
        wanted += [other for other in further if other not in wanted]
    loaded = [LoadedModel(model) for model in wanted]
    for one in loaded:
        if one in current_loaded_models:
            current_loaded_models.remove(one)
    free_memory(
        max(memory_required, minimum_memory_required or 0)
        + sum(one.model_memory_required(one.device) for one in loaded),
        devices.of_run(),
        loaded,
    )
    for one in loaded:
        one.model_load(force_patch_weights=force_patch_weights)
        current_loaded_models.insert(0, one)


def load_model_gpu(model: Any) -> None:
    load_models_gpu([model])


def loaded_models(only_currently_used: bool = False) -> list[Any]:
    """The model patchers whose models are on the device."""
    return [one.model for one in current_loaded_models if one.currently_used or not only_currently_used]


def cleanup_models_gc() -> None:
    """Let go of models that only the list of loaded ones still holds, and collect what is left over."""
    gone = [one for one in current_loaded_models if sys.getrefcount(one.model) <= 2]
    for one in gone:
        one.model_unload()
        current_loaded_models.remove(one)
    gc.collect()


def cleanup_models() -> None:
    cleanup_models_gc()


def _asked(model: Any, method: str, otherwise: Callable[[], int]) -> int:
    return int(getattr(model, method, otherwise)())


# Interruption


class InterruptProcessingException(Interrupted):
    """The run was asked to stop."""

    def __init__(self, message: str = "interrupted") -> None:
        super().__init__(message)


def interrupt_current_processing(value: bool = True) -> None:
    """Ask the run to stop, or take that back."""
    runtime.interrupt(value)


def processing_interrupted() -> bool:
    return runtime.interrupted()


def throw_exception_if_processing_interrupted() -> None:
    """Raise where the run was asked to stop."""
    runtime.stop_if_interrupted(InterruptProcessingException)
