"""ComfyUI's `comfy.cli_args`: the options of its command line, as the settings of the run have them.

Options that nothing here has keep ComfyUI's defaults; a pack may assign to them.
"""

from __future__ import annotations

import argparse
import enum
from collections.abc import Callable
from typing import Any

from comfykit.compat import placing, running
from comfykit.settings import Settings


class LatentPreviewMethod(enum.Enum):
    NoPreviews = "none"
    Auto = "auto"
    Latent2RGB = "latent2rgb"
    TAESD = "taesd"


class PerformanceFeature(enum.Enum):
    Fp16Accumulation = "fp16_accumulation"
    Fp8MatrixMultiplication = "fp8_matrix_mult"
    CublasOps = "cublas_ops"
    AutoTune = "autotune"


_DEFAULTS: dict[str, Any] = {
    "listen": "127.0.0.1",
    "port": 8188,
    "tls_keyfile": None,
    "tls_certfile": None,
    "enable_cors_header": None,
    "max_upload_size": 100,
    "extra_model_paths_config": None,
    "auto_launch": False,
    "disable_auto_launch": True,
    "cuda_device": None,
    "default_device": None,
    "cuda_malloc": False,
    "disable_cuda_malloc": False,
    "force_channels_last": False,
    "directml": None,
    "oneapi_device_selector": None,
    "disable_ipex_optimize": False,
    "supports_fp8_compute": False,
    "preview_size": 512,
    "cache_classic": False,
    "cache_lru": 0,
    "cache_none": False,
    "use_split_cross_attention": False,
    "use_quad_cross_attention": False,
    "use_pytorch_cross_attention": False,
    "use_sage_attention": False,
    "use_flash_attention": False,
    "disable_xformers": False,
    "force_upcast_attention": False,
    "dont_upcast_attention": False,
    "gpu_only": False,
    "highvram": False,
    "normalvram": False,
    "lowvram": False,
    "novram": False,
    "reserve_vram": None,
    "async_offload": False,
    "default_hashing_function": "sha256",
    "disable_smart_memory": False,
    "deterministic": False,
    "fast": set(),
    "mmap_torch_files": False,
    "disable_mmap": False,
    "dont_print_server": True,
    "quick_test_for_ci": False,
    "windows_standalone_build": False,
    "disable_metadata": False,
    "disable_all_custom_nodes": False,
    "whitelist_custom_nodes": [],
    "disable_api_nodes": True,
    "multi_user": False,
    "verbose": "INFO",
    "log_stdout": False,
    "front_end_version": "comfyanonymous/ComfyUI@latest",
    "front_end_root": None,
    "enable_compress_response_body": False,
    "comfy_api_base": "https://api.comfy.org",
    "fp32_text_enc": False,
    "fp16_text_enc": False,
    "bf16_text_enc": False,
    "fp8_e4m3fn_text_enc": False,
    "fp8_e5m2_text_enc": False,
    "fp32_vae": False,
    "fp16_vae": False,
    "bf16_vae": False,
    "cpu_vae": False,
    "fp8_e4m3fn_unet": False,
    "fp8_e5m2_unet": False,
    "fp8_e8m0fnu_unet": False,
    "fp64_unet": False,
}


class Arguments(argparse.Namespace):
    """What has no value of its own follows from the settings."""

    def __getattr__(self, name: str) -> Any:
        if name not in _FROM_SETTINGS:
            raise AttributeError(f"the options of ComfyUI's command line have no {name!r} here")
        return _FROM_SETTINGS[name](running.settings())


_FROM_SETTINGS: dict[str, Callable[[Settings], Any]] = {
    "base_directory": lambda settings: str(settings.home.root),
    "output_directory": lambda settings: str(settings.output_dir),
    "input_directory": lambda settings: str(settings.input_dir),
    "temp_directory": lambda settings: str(settings.temp_dir),
    "user_directory": lambda settings: str(settings.home.root / "user"),
    "preview_method": lambda settings: LatentPreviewMethod(settings.preview_method),
    "cpu": lambda settings: placing.residency().device.type == "cpu",
    "force_fp32": lambda settings: settings.precision == "fp32",
    "force_fp16": lambda settings: settings.precision == "fp16",
    "fp32_unet": lambda settings: settings.precision == "fp32",
    "fp16_unet": lambda settings: settings.precision == "fp16",
    "bf16_unet": lambda settings: settings.precision == "bf16",
}

args = Arguments(**_DEFAULTS)
