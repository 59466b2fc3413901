"""Nodes that say how a model is computed, not what."""

from __future__ import annotations

import importlib.util
import os
import shutil
from dataclasses import replace
from typing import Annotated

import torch

from comfykit.engine.define import combo, node
from comfykit.errors import UsageError
from comfykit.nodes.types import Context, Model

DTYPES = {"default": None, "fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}
COMPILERS = ("g++", "clang++", "c++", "cl")


@node("ModelComputeDtype", title="ModelComputeDtype", category="advanced/debug/model")
def model_compute_dtype(model: Model, dtype: Annotated[str, combo(tuple(DTYPES))]) -> Model:
    """Compute a diffusion model in another number format than the settings say."""
    return replace(model, dtype=DTYPES[dtype])


@node("TorchCompileModel", title="TorchCompileModel", category="_for_testing")
def torch_compile_model(
    context: Context,
    model: Model,
    backend: Annotated[str, combo(("inductor", "cudagraphs"), multiselect=False)],
) -> Model:
    """Compile a diffusion model with PyTorch's compiler: slow in its first step, faster afterwards.

    "inductor" needs a C++ compiler on a CPU and Triton on a GPU, "cudagraphs" a GPU. A U-Net with patches
    that work inside of it, such as FreeU, is not compiled.
    """
    _require(backend, context.residency.device)
    return replace(model, compiled=torch.compile(model.network, backend=backend))


def _require(backend: str, device: torch.device) -> None:
    """Raises `UsageError` where what a backend needs is missing, rather than in the first step."""
    remove = "take TorchCompileModel out of the workflow, or bypass it"
    if backend == "cudagraphs" and device.type != "cuda":
        raise UsageError(f"the compiler backend cudagraphs needs an NVIDIA GPU, not {device}", hint=remove)
    if backend == "inductor" and device.type == "cuda" and importlib.util.find_spec("triton") is None:
        raise UsageError(
            "the compiler backend inductor needs Triton for a GPU", hint=f"install it, or {remove}"
        )
    named = os.environ.get("CXX")
    if device.type == "cpu" and not any(map(shutil.which, (named,) if named else COMPILERS)):
        raise UsageError(
            "the compiler backend inductor needs a C++ compiler, and there is none on the PATH",
            hint=f"install g++ or clang++, or {remove}",
        )
