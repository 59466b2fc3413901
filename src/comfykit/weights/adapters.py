"""The kinds of patches: LoRA and its relatives, full differences, the weights of another model.

Every one changes a weight W [out, in] or [out, in, height, width]. An adapter holds factors of a
difference and multiplies them out; `Adapted` adds it, scaled by `alpha / rank`. Factors keep the type of
their file, and are widened to float32 on the device of W.

    LoRA, LoCon   "LoRA" (Hu et al. 2021), section 4.1; Tucker form as LyCORIS has it
    LoHa          "FedPara" (Hyeon-Woo et al. 2022), propositions 1 and 3
    LoKr          "KronA" (Edalati et al. 2022), equation 3
    DoRA          "DoRA" (Liu et al. 2024), equation 5
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from comfykit.weights.patch import Entry, patched


class Adapter(Protocol):
    """Factors of a difference."""

    @property
    def rank(self) -> int | None:
        """What `alpha` is divided by; None where it does not scale."""
        ...

    @property
    def size(self) -> int:
        """How many numbers the difference has."""
        ...

    def difference(self, device: torch.device) -> Tensor:
        """The factors multiplied out, in float32; its shape has the elements of W in order."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class LowRank:
    """`up @ down`: down [rank, in, ...], up [out, rank, ...].

    Of a convolution, `mid` [rank, rank, height, width] may stand between them (Tucker form).
    """

    up: Tensor
    down: Tensor
    mid: Tensor | None = None

    @property
    def rank(self) -> int:
        """Rows of `down`."""
        return self.down.shape[0]

    @property
    def size(self) -> int:
        """Of the convolution's kernel, where one stands between, too."""
        kernel = math.prod(self.mid.shape[2:]) if self.mid is not None else 1
        return self.up.shape[0] * kernel * math.prod(self.down.shape[1:])

    def difference(self, device: torch.device) -> Tensor:
        """[out, in * height * width], or the weight's own shape with `mid`."""
        up, down = _wide(self.up, device).flatten(1), _wide(self.down, device).flatten(1)
        if self.mid is None:
            return up @ down
        return torch.einsum("op,pqhw,qi->oihw", up, _wide(self.mid, device), down)


@dataclass(frozen=True, slots=True, eq=False)
class Hadamard:
    """LoHa: the element-wise product of two low-rank matrices.

    Either `(w1_a @ w1_b) * (w2_a @ w2_b)` with w_a [out, rank] and w_b [rank, in, ...], or, in the Tucker
    form of convolutions, with cores t1, t2 [rank, rank, height, width] and w_a [rank, out], w_b [rank, in].
    """

    w1_a: Tensor
    w1_b: Tensor
    w2_a: Tensor
    w2_b: Tensor
    t1: Tensor | None = None
    t2: Tensor | None = None

    @property
    def rank(self) -> int:
        """Rows of `w1_b`."""
        return self.w1_b.shape[0]

    @property
    def size(self) -> int:
        """Of the convolution's kernel, where there are cores, too."""
        if self.t1 is not None:
            return self.w1_a.shape[1] * self.w1_b.shape[1] * math.prod(self.t1.shape[2:])
        return self.w1_a.shape[0] * math.prod(self.w1_b.shape[1:])

    def difference(self, device: torch.device) -> Tensor:
        """[out, in * height * width], or the weight's own shape with cores."""
        first = _product(self.w1_a, self.w1_b, self.t1, device)
        return first * _product(self.w2_a, self.w2_b, self.t2, device)


@dataclass(frozen=True, slots=True, eq=False)
class Kronecker:
    """LoKr: the Kronecker product of a small and a larger factor, `kron(w1, w2)`.

    Each is whole, or two low-rank matrices `a @ b`; the second of a convolution may be in Tucker form, with
    the core t2 [rank, rank, height, width].
    """

    w1: Tensor | tuple[Tensor, Tensor]
    w2: Tensor | tuple[Tensor, Tensor]
    t2: Tensor | None = None

    @property
    def rank(self) -> int | None:
        """Of the factor that is low-rank; None where both are whole."""
        factors = [factor for factor in (self.w2, self.w1) if isinstance(factor, tuple)]
        return factors[0][1].shape[0] if factors else None

    @property
    def size(self) -> int:
        """The product of the factors' sizes."""
        return math.prod(_factor_shape(self.w1, None)) * math.prod(_factor_shape(self.w2, self.t2))

    def difference(self, device: torch.device) -> Tensor:
        """The weight's own shape."""
        first = _factor(self.w1, None, device)
        second = _factor(self.w2, self.t2, device).contiguous()  # torch.kron takes views of it
        return torch.kron(first.reshape(*first.shape, *(1,) * (second.dim() - first.dim())), second)


@dataclass(frozen=True, slots=True, eq=False)
class Difference:
    """A difference in full; the weight's own shape."""

    values: Tensor

    @property
    def rank(self) -> None:
        """It has none."""
        return None

    @property
    def size(self) -> int:
        """That of the weight."""
        return self.values.numel()

    def difference(self, device: torch.device) -> Tensor:
        """Itself."""
        return _wide(self.values, device)


@dataclass(frozen=True, slots=True, eq=False)
class Adapted:
    """A patch: W plus `strength * alpha / rank` times an adapter's difference; without `alpha`, 1 for it.

    With `dora_scale` the rows or columns of the result are brought to given lengths (see `decompose`), and
    `strength` leads in a straight line from W to that.
    """

    adapter: Adapter
    alpha: float | None = None
    dora_scale: Tensor | None = None

    @property
    def size(self) -> int:
        """How many numbers the weight must have."""
        return self.adapter.size

    @property
    def scale(self) -> float:
        """`alpha / rank`."""
        rank = self.adapter.rank
        return 1.0 if self.alpha is None or rank is None else self.alpha / rank

    def apply(self, weight: Tensor, strength: float) -> Tensor:
        """W [out, ...] in float32 -> the same."""
        difference = self.adapter.difference(weight.device).reshape(weight.shape)
        if self.dora_scale is None:
            return weight + (strength * self.scale) * difference
        changed = decompose(weight, self.scale * difference, _wide(self.dora_scale, weight.device))
        return changed if strength == 1.0 else weight + strength * (changed - weight)


@dataclass(frozen=True, slots=True, eq=False)
class Replaced:
    """A patch: other values in the place of a weight's, whatever the strength."""

    values: Tensor

    @property
    def size(self) -> int:
        """How many numbers the weight must have."""
        return self.values.numel()

    def apply(self, weight: Tensor, strength: float) -> Tensor:
        """W in float32 -> the same shape."""
        return _wide(self.values, weight.device).reshape(weight.shape)


@dataclass(frozen=True, slots=True, eq=False)
class Towards:
    """A patch: adds `strength` times what separates a parameter of another model from this one's.

    `values` are those of the other model's file, `own` those of this one's, both without patches.
    """

    values: Tensor
    own: Tensor

    def apply(self, weight: Tensor, strength: float) -> Tensor:
        """W in float32 -> the same shape."""
        return weight + strength * (_wide(self.values, weight.device) - _wide(self.own, weight.device))


@dataclass(frozen=True, slots=True, eq=False)
class OtherWeight:
    """A patch: adds `strength` times the same parameter of another model, which may have patches itself.

    `values` are those of the other model's file, mapped and unread until the patch is applied.
    """

    values: Tensor
    entries: tuple[Entry, ...] = ()

    def apply(self, weight: Tensor, strength: float) -> Tensor:
        """W in float32 -> the same shape."""
        return weight + strength * patched(_wide(self.values, weight.device), self.entries)


def decompose(weight: Tensor, difference: Tensor, magnitude: Tensor) -> Tensor:
    """`magnitude * V / norm` with `V = weight + difference`, per output or per input.

    `magnitude` has as many numbers as the weight has outputs ([out], [out, 1, ...]) or inputs ([1, in, ...]).
    Per input `norm` is that of V, as in the paper; per output it is that of the weight alone, which is what
    ComfyUI divides by (the case `lora_dora` tells the two apart).
    """
    changed = weight + difference
    per_output = magnitude.dim() == 1 or magnitude.shape[0] == weight.shape[0]
    axis = 0 if per_output else 1
    shape = [1] * weight.dim()
    shape[axis] = weight.shape[axis]
    others = [dimension for dimension in range(weight.dim()) if dimension != axis]
    norm: Tensor = torch.linalg.vector_norm(weight if per_output else changed, dim=others, keepdim=True)
    return changed * (magnitude.reshape(shape) / (norm + torch.finfo(torch.float32).eps))


def _wide(tensor: Tensor, device: torch.device) -> Tensor:
    return tensor.to(device, torch.float32)


def _product(a: Tensor, b: Tensor, core: Tensor | None, device: torch.device) -> Tensor:
    a, b = _wide(a, device), _wide(b, device)
    if core is None:
        return a @ b.flatten(1)
    return torch.einsum("ij...,io,jn->on...", _wide(core, device), a, b)


def _factor(factor: Tensor | tuple[Tensor, Tensor], core: Tensor | None, device: torch.device) -> Tensor:
    if isinstance(factor, Tensor):
        return _wide(factor, device)
    a, b = factor
    return _product(a, b, core, device).reshape(_factor_shape(factor, core))


def _factor_shape(factor: Tensor | tuple[Tensor, Tensor], core: Tensor | None) -> tuple[int, ...]:
    if isinstance(factor, Tensor):
        return tuple(factor.shape)
    a, b = factor
    if core is not None:
        return (a.shape[1], b.shape[1], *core.shape[2:])
    return (a.shape[0], *b.shape[1:])
