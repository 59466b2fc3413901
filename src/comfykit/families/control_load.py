"""From the file of a ControlNet or an adapter to CONTROL_NET."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from comfykit.errors import ModelFileError
from comfykit.families.control import ControlModel, HintNetwork
from comfykit.models.controlnet import ControlNet
from comfykit.models.t2i_adapter import T2IAdapter
from comfykit.weights.adapter_layout import adapter_config, adapter_tensors, is_adapter
from comfykit.weights.control_lora import ControlLora
from comfykit.weights.controlnet_layout import DIFFERENCE, LORA, control_tensors, controlnet_config
from comfykit.weights.detect import detect, require
from comfykit.weights.load import build
from comfykit.weights.read import WeightsFile, open_weights

POOLED_NAMES = ("_shuffle", "_shuffle_fp16")
"""How names of files end whose residuals are to be pooled; nothing in the files says so."""


def load_control(path: Path, own: Mapping[str, Tensor] | None = None) -> ControlModel:
    """Open a ControlNet, a Control-LoRA or a T2I-Adapter; weights stay in the file until they are used.

    `own` are a U-Net's weights by name, for a file that holds differences to them.
    Raises `ModelFileError` that says what the file is when it is none, and without `own` for differences.
    """
    file = open_weights(path)
    try:
        require(detect(file.shapes), "controlnet")
        network = _network(file, own)
    except ModelFileError as error:
        raise ModelFileError(
            f"{path}: {error}", hint=error.hint, **{**error.facts, "path": str(path)}
        ) from error
    return ControlModel(path.name, network, pooled=path.stem.endswith(POOLED_NAMES))


def _network(file: WeightsFile, own: Mapping[str, Tensor] | None) -> HintNetwork | ControlLora:
    if is_adapter(file.tensors):
        return _adapter(file)
    tensors = control_tensors(file.tensors)
    if LORA in file.tensors:
        return ControlLora(tensors, f"the Control-LoRA {file.path.name}")
    if DIFFERENCE in file.tensors:
        tensors = _added(tensors, own)
    config = controlnet_config({name: tuple(tensor.shape) for name, tensor in tensors.items()})
    return build(lambda: ControlNet(config), tensors, what=f"the ControlNet {file.path.name}")


def _adapter(file: WeightsFile) -> T2IAdapter:
    tensors = adapter_tensors(file.tensors)
    config = adapter_config({name: tuple(tensor.shape) for name, tensor in tensors.items()})
    return build(lambda: T2IAdapter(config), tensors, what=f"the T2I-Adapter {file.path.name}")


def _added(tensors: Mapping[str, Tensor], own: Mapping[str, Tensor] | None) -> dict[str, Tensor]:
    """Differences with the weights that they are differences to, in the type of the differences."""
    if own is None:
        raise ModelFileError(
            "it holds differences to the weights of a model",
            hint="load it with DiffControlNetLoader, which is given the model",
        )
    foreign = [name for name, tensor in tensors.items() if name in own and own[name].shape != tensor.shape]
    if foreign:
        raise ModelFileError(
            f"it holds differences to a model of another shape ({foreign[0]})",
            hint="take a model of the family that it was made from",
        )
    return {
        name: tensor + own[name].to(tensor) if name in own else tensor for name, tensor in tensors.items()
    }
