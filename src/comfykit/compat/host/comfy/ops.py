"""`comfy.ops`: layers as packs build networks of their own from, and casts of weights.

Layers here are PyTorch's; `manual_cast` computes in the type of its input whatever that of its weights is.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F


def cast_to(
    weight: Any, dtype: Any = None, device: Any = None, non_blocking: bool = False, copy: bool = False
) -> Any:
    """A weight in a type on a device."""
    return weight.to(device=device, dtype=dtype, non_blocking=non_blocking, copy=copy)


def cast_to_input(weight: Any, input: Tensor, non_blocking: bool = False, copy: bool = True) -> Any:
    """A weight in an input's type, where that is."""
    return cast_to(weight, input.dtype, input.device, non_blocking, copy)


def cast_bias_weight(
    s: Any,
    input: Tensor | None = None,
    dtype: Any = None,
    device: Any = None,
    bias_dtype: Any = None,
    **further: Any,
) -> tuple[Any, Any]:
    """Weight and bias of a layer in an input's type, where that is."""
    if input is not None:
        dtype, device = dtype or input.dtype, device or input.device
    weight = cast_to(s.weight, dtype, device)
    bias = None if getattr(s, "bias", None) is None else cast_to(s.bias, bias_dtype or dtype, device)
    for function in getattr(s, "weight_function", ()):
        weight = function(weight)
    for function in getattr(s, "bias_function", ()):
        bias = function(bias)
    return weight, bias


class CastWeightBiasOp:
    """A layer that can compute in another type than that of its weights."""

    comfy_cast_weights = False
    weight_function: Any = ()
    bias_function: Any = ()


def _layer(kind: Any, cast: Any) -> Any:
    """A layer that is made without being filled, and computes by `cast` where it is to be cast."""

    def forward(self: Any, *args: Any, **kwargs: Any) -> Any:
        if self.comfy_cast_weights or len(self.weight_function) or len(self.bias_function):
            return self.forward_comfy_cast_weights(*args, **kwargs)
        return kind.forward(self, *args, **kwargs)

    told = {
        "__doc__": kind.__name__ + ", not filled when it is made.",
        "__module__": __name__,
        "reset_parameters": lambda self: None,
        "forward": forward,
        "forward_comfy_cast_weights": cast,
    }
    return type(kind.__name__, (kind, CastWeightBiasOp), told)


def _linear(self: Any, x: Tensor) -> Tensor:
    return F.linear(x, *cast_bias_weight(self, x))


def _conv(self: Any, x: Tensor) -> Tensor:
    found: Tensor = self._conv_forward(x, *cast_bias_weight(self, x))
    return found


def _conv_transpose(self: Any, x: Tensor, output_size: Any = None) -> Tensor:
    axes = len(self.kernel_size)
    padding = self._output_padding(
        x, output_size, self.stride, self.padding, self.kernel_size, axes, self.dilation
    )
    weight, bias = cast_bias_weight(self, x)
    compute: Any = (F.conv_transpose1d, F.conv_transpose2d)[axes - 1]
    found: Tensor = compute(x, weight, bias, self.stride, self.padding, padding, self.groups, self.dilation)
    return found


def _group_norm(self: Any, x: Tensor) -> Tensor:
    return F.group_norm(x, self.num_groups, *cast_bias_weight(self, x), self.eps)


def _layer_norm(self: Any, x: Tensor) -> Tensor:
    weight, bias = (None, None) if self.weight is None else cast_bias_weight(self, x)
    return F.layer_norm(x, self.normalized_shape, weight, bias, self.eps)


def _rms_norm(self: Any, x: Tensor) -> Tensor:
    weight = None if self.weight is None else cast_to_input(self.weight, x)
    return F.rms_norm(x, self.normalized_shape, weight, self.eps)


def _embedding(self: Any, x: Tensor, out_dtype: Any = None) -> Tensor:
    weight = self.weight if out_dtype is None else self.weight.to(out_dtype)
    return F.embedding(x, weight, self.padding_idx, self.max_norm, self.norm_type, self.scale_grad_by_freq)


class disable_weight_init:  # noqa: N801
    """Layers that are not filled when they are made."""

    Linear: Any = _layer(nn.Linear, _linear)
    Conv1d: Any = _layer(nn.Conv1d, _conv)
    Conv2d: Any = _layer(nn.Conv2d, _conv)
    Conv3d: Any = _layer(nn.Conv3d, _conv)
    ConvTranspose1d: Any = _layer(nn.ConvTranspose1d, _conv_transpose)
    ConvTranspose2d: Any = _layer(nn.ConvTranspose2d, _conv_transpose)
    GroupNorm: Any = _layer(nn.GroupNorm, _group_norm)
    LayerNorm: Any = _layer(nn.LayerNorm, _layer_norm)
    RMSNorm: Any = _layer(nn.RMSNorm, _rms_norm)
    Embedding: Any = _layer(nn.Embedding, _embedding)

    @classmethod
    def conv_nd(cls, dims: int, *args: Any, **kwargs: Any) -> Any:
        """A convolution over 1, 2 or 3 axes."""
        return {1: cls.Conv1d, 2: cls.Conv2d, 3: cls.Conv3d}[dims](*args, **kwargs)


class manual_cast(disable_weight_init):  # noqa: N801
    """The same layers, which always cast."""


for _name, _kind in list(vars(disable_weight_init).items()):
    if isinstance(_kind, type):
        _told = {"comfy_cast_weights": True, "__module__": __name__, "__doc__": _kind.__doc__}
        setattr(manual_cast, _name, type(_name, (_kind,), _told))


def pick_operations(weight_dtype: Any, compute_dtype: Any, *further: Any, **options: Any) -> Any:
    """The layers for weights of a type that compute in one."""
    return disable_weight_init if compute_dtype in (None, weight_dtype) else manual_cast


def scaled_dot_product_attention(q: Tensor, k: Tensor, v: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    """Attention."""
    return F.scaled_dot_product_attention(q, k, v, *args, **kwargs)
