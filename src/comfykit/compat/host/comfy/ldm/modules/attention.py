"""`comfy.ldm.modules.attention`: attention as a function, and the transformers of U-Nets by name.

The functions all compute the same. `BasicTransformerBlock` and its like are names for our classes that
answer `isinstance`; a method that a pack puts onto one is counted as missing, as our blocks do not call it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from comfykit.compat.modules import MissingAttribute, lacking
from comfykit.models import attention as ours

Attention = Callable[..., Tensor]

REGISTERED_ATTENTION_FUNCTIONS: dict[str, Attention] = {}
SDP_BATCH_LIMIT = 2**15


def exists(val: Any) -> bool:
    """Whether there is a value."""
    return val is not None


def default(val: Any, d: Any) -> Any:
    """A value, or where there is none another."""
    return val if val is not None else d


def get_attn_precision(attn_precision: Any, current_dtype: torch.dtype) -> Any:
    """The type that attention computes in: that of its inputs."""
    return attn_precision


def wrap_attn(func: Attention) -> Attention:
    """The function, or the one that `transformer_options` has as `optimized_attention_override`."""

    def wrapped(*args: Any, **kwargs: Any) -> Tensor:
        options = kwargs.get("transformer_options") or {}
        override = options.get("optimized_attention_override")
        if override is None or kwargs.pop("_inside_attn_wrapper", False):
            return func(*args, **kwargs)
        found: Tensor = override(func, *args, **{**kwargs, "_inside_attn_wrapper": True})
        return found

    return wrapped


def attention_pytorch(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    heads: int,
    mask: Tensor | None = None,
    attn_precision: Any = None,
    skip_reshape: bool = False,
    skip_output_reshape: bool = False,
    **kwargs: Any,
) -> Tensor:
    """Attention of q [B, T, H * D], or with `skip_reshape` [B, H, T, D]; a `mask` is added, or of booleans.

    Returns [B, T, H * D], with `skip_output_reshape` [B, H, T, D].
    """
    if not skip_reshape:
        q, k, v = (x.reshape(*x.shape[:2], heads, -1).transpose(1, 2) for x in (q, k, v))
    if mask is not None:
        mask = mask[None] if mask.ndim == 2 else mask
        mask = mask[:, None] if mask.ndim == 3 else mask
    found = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
    return found if skip_output_reshape else found.transpose(1, 2).flatten(2)


attention_basic = attention_sub_quad = attention_split = attention_xformers = attention_pytorch
attention_flash = attention_sage = attention_pytorch
optimized_attention: Attention = wrap_attn(attention_pytorch)
optimized_attention_masked: Attention = optimized_attention


def register_attention_function(name: str, func: Attention) -> None:
    """Keep a function by name."""
    REGISTERED_ATTENTION_FUNCTIONS.setdefault(name, func)


def get_attention_function(name: str, default: Any = ...) -> Any:
    """The function of a name; `optimized` is ours."""
    if name == "optimized":
        return optimized_attention
    if name in REGISTERED_ATTENTION_FUNCTIONS or default is not ...:
        return REGISTERED_ATTENTION_FUNCTIONS.get(name, default)
    raise KeyError(f"Attention function {name} not found.")


register_attention_function("pytorch", attention_pytorch)


def optimized_attention_for_device(device: Any, mask: bool = False, small_input: bool = False) -> Attention:
    """The function for a device."""
    return optimized_attention


class NameOf(type):
    """A class that stands for one of ours."""

    engine: type

    def __instancecheck__(cls, instance: Any) -> bool:
        return isinstance(instance, cls.engine) or super().__instancecheck__(instance)

    def __setattr__(cls, name: str, value: Any) -> None:
        if callable(value) and not name.startswith("__"):
            module = cls.__module__.removeprefix("comfykit.compat.host.")
            lacking(module, f"{cls.__name__}.{name} as packs assign it")
        super().__setattr__(name, value)


def name_of(engine: type[nn.Module], name: str, module: str = __name__) -> Any:
    """A class by ComfyUI's name for one of ours, to compare with."""

    def refuse(self: Any, *args: Any, **kwargs: Any) -> None:
        public = module.removeprefix("comfykit.compat.host.")
        raise MissingAttribute(str(lacking(public, f"{name}(...)")))

    def forward(self: Any, *args: Any, **kwargs: Any) -> Any:
        return engine.forward(self, *args, **kwargs)

    told = {"__module__": module, "__doc__": engine.__doc__, "__init__": refuse, "forward": forward}
    return NameOf(name, (nn.Module,), {**told, "engine": engine})


CrossAttention = name_of(ours.CrossAttention, "CrossAttention")
FeedForward = name_of(ours.FeedForward, "FeedForward")
GEGLU = name_of(ours.GEGLU, "GEGLU")
BasicTransformerBlock = name_of(ours.TransformerBlock, "BasicTransformerBlock")
SpatialTransformer = name_of(ours.SpatialTransformer, "SpatialTransformer")


class _Nothing(nn.Module):
    """What no network here has."""


SpatialVideoTransformer = name_of(_Nothing, "SpatialVideoTransformer")
