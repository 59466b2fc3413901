"""`comfy.conds`: inputs of the network in a conditioning, as packs put and find them."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from comfykit.sampling.conditioning import repeat_to_batch


def is_equal(a: Any, b: Any) -> bool:
    """Whether two values are the same; tensors by their content."""
    if torch.is_tensor(a) and torch.is_tensor(b):
        return a.shape == b.shape and bool(torch.equal(a, b))
    return bool(a == b)


class CONDRegular:
    """A tensor with a row for each picture."""

    def __init__(self, cond: Any) -> None:
        self.cond = cond

    def _copy_with(self, cond: Any) -> CONDRegular:
        return self.__class__(cond)

    def process_cond(self, batch_size: int, area: Any = None, **kwargs: Any) -> CONDRegular:
        """With as many rows as a batch has."""
        device = kwargs.get("device")
        cond = repeat_to_batch(self.cond, batch_size)
        return self._copy_with(cond if device is None else cond.to(device))

    def can_concat(self, other: CONDRegular) -> bool:
        """Whether both fit into one batch."""
        return bool(self.cond.shape == other.cond.shape)

    def concat(self, others: list[CONDRegular]) -> Any:
        """All of them, one after the other."""
        return torch.cat([self.cond, *(other.cond for other in others)])

    def size(self) -> list[int]:
        """Its shape."""
        return list(self.cond.shape)


class CONDNoiseShape(CONDRegular):
    """A tensor that lies over the latent, cut to an area with it."""

    def process_cond(self, batch_size: int, area: Any = None, **kwargs: Any) -> CONDRegular:
        """The part in an area, with as many rows as a batch has."""
        data = self.cond
        if area is not None:
            axes = len(area) // 2
            for axis in range(axes):
                data = data.narrow(axis + 2, area[axes + axis], area[axis])
        return CONDRegular(data).process_cond(batch_size, **kwargs)


class CONDCrossAttn(CONDRegular):
    """An embedding, which may be repeated to the length of another."""

    def can_concat(self, other: CONDRegular) -> bool:
        """Whether both fit into one batch."""
        mine, theirs = self.cond.shape, other.cond.shape
        if mine == theirs:
            return True
        same = mine[0] == theirs[0] and mine[2] == theirs[2]
        return bool(same and math.lcm(mine[1], theirs[1]) <= 4 * min(mine[1], theirs[1]))

    def concat(self, others: list[CONDRegular]) -> Tensor:
        """All of them in one length."""
        conds = [self.cond, *(other.cond for other in others)]
        length = math.lcm(*(cond.shape[1] for cond in conds))
        return torch.cat([cond.repeat(1, length // cond.shape[1], 1) for cond in conds])


class CONDConstant(CONDRegular):
    """A value that is the same for all rows."""

    def process_cond(self, batch_size: int, area: Any = None, **kwargs: Any) -> CONDRegular:
        """Itself."""
        return self._copy_with(self.cond)

    def can_concat(self, other: CONDRegular) -> bool:
        """Whether both are equal."""
        return is_equal(self.cond, other.cond)

    def concat(self, others: list[CONDRegular]) -> Any:
        """The one value."""
        return self.cond

    def size(self) -> list[int]:
        """It has none."""
        return [1]


class CONDList(CONDRegular):
    """Tensors that go together."""

    def process_cond(self, batch_size: int, area: Any = None, **kwargs: Any) -> CONDRegular:
        """Each with as many rows as a batch has."""
        return self._copy_with([repeat_to_batch(one, batch_size) for one in self.cond])

    def can_concat(self, other: CONDRegular) -> bool:
        """Whether each fits its counterpart."""
        pairs = list(zip(self.cond, other.cond, strict=False))
        return len(self.cond) == len(other.cond) and all(a.shape == b.shape for a, b in pairs)

    def concat(self, others: list[CONDRegular]) -> list[Tensor]:
        """Each with its counterparts."""
        return [torch.cat([one, *(other.cond[i] for other in others)]) for i, one in enumerate(self.cond)]

    def size(self) -> list[int]:
        """How many numbers there are."""
        return [sum(one.numel() for one in self.cond)]
