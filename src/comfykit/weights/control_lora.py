"""Control-LoRA: a ControlNet that is the U-Net's own weights and low-rank differences to them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from weakref import WeakKeyDictionary

from torch import Tensor

from comfykit.errors import ModelFileError
from comfykit.models.controlnet import ControlNet
from comfykit.models.low_rank import add_low_rank
from comfykit.models.unet import UNet
from comfykit.weights.controlnet_layout import low_rank_layers, with_hint_layers
from comfykit.weights.load import build

_WAY_UP = ("output_blocks.", "out.")


class ControlLora:
    """The tensors of a Control-LoRA's file, and the networks that they make of U-Nets.

    `what` names it in errors. A network shares the U-Net's parameters, wherever they are and whatever
    patches they have, so that it costs no more memory than the file has bytes.
    """

    def __init__(self, tensors: Mapping[str, Tensor], what: str) -> None:
        layers = low_rank_layers(tensors)
        self._differences = {name: (tensors[f"{name}.up"], tensors[f"{name}.down"]) for name in layers}
        factors = {f"{name}{end}" for name in layers for end in (".up", ".down")}
        self._whole = {name: tensor for name, tensor in tensors.items() if name not in factors}
        self._what = what
        self._made: WeakKeyDictionary[UNet, ControlNet] = WeakKeyDictionary()

    def network_for(self, unet: UNet) -> ControlNet:
        """The ControlNet for a U-Net; the same one every time.

        Raises `ModelFileError` where the differences are to weights of other shapes.
        """
        if unet not in self._made:
            self._made[unet] = self._build(unet)
        return self._made[unet]

    def _build(self, unet: UNet) -> ControlNet:
        own = {name: value for name, value in unet.named_parameters() if not name.startswith(_WAY_UP)}
        foreign = list(self._foreign(own))
        if foreign:
            raise ModelFileError(
                f"{self._what} does not fit the model: {len(foreign)} of its tensors, such as {foreign[0]}, "
                "are for a U-Net of another shape",
                hint="a Control-LoRA works with models of the family that it was made from",
                mismatched=foreign,
            )
        shapes = {name: tuple(tensor.shape) for name, tensor in self._whole.items()}
        config = with_hint_layers(replace(unet.config, output_depths=()), shapes)
        network = build(lambda: ControlNet(config), {**own, **self._whole}, what=self._what)
        add_low_rank(network, self._differences)
        return network

    def _foreign(self, own: Mapping[str, Tensor]) -> Iterator[str]:
        """What is for other shapes than those of the U-Net's parameters `own`."""
        for layer, (up, down) in self._differences.items():
            weight = own.get(f"{layer}.weight")
            if weight is None or (up.shape[0], down[0].numel()) != (weight.shape[0], weight[0].numel()):
                yield layer
        for name, tensor in self._whole.items():
            if name in own and own[name].shape != tensor.shape:
                yield name
