"""What ControlNets and adapters add to the features of a U-Net."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import zip_longest

from torch import Tensor


@dataclass(frozen=True, slots=True, eq=False)
class ControlResiduals:
    """Residuals for one call of a U-Net ("Adding Conditional Control", arXiv 2302.05543, equation 2).

    `output[i]` is added to the skip connection that input block i leaves, `middle` to what the middle block
    gives, `input[i]`, as T2I-Adapters have them, to what input block i gives; None adds nothing. `output` and
    `input` may be shorter than the way down. A residual of another size than its place's is left out: where
    hooks shrink the features, it belongs to features that are not there.
    """

    output: tuple[Tensor | None, ...] = ()
    middle: Tensor | None = None
    input: tuple[Tensor | None, ...] = ()

    def plus(self, other: ControlResiduals) -> ControlResiduals:
        """The sum of both: several ControlNets at once."""
        output = tuple(_sum(a, b) for a, b in zip_longest(self.output, other.output))
        input_ = tuple(_sum(a, b) for a, b in zip_longest(self.input, other.input))
        return ControlResiduals(output, _sum(self.middle, other.middle), input_)

    def map(self, change: Callable[[Tensor], Tensor]) -> ControlResiduals:
        """The same with every residual changed."""
        output, input_ = (
            tuple(None if one is None else change(one) for one in side) for side in (self.output, self.input)
        )
        return ControlResiduals(output, None if self.middle is None else change(self.middle), input_)

    def onto_input(self, index: int, h: Tensor) -> Tensor:
        """The features that one input block gives with their residual."""
        return _added(h, self.input[index] if index < len(self.input) else None)

    def onto_skip(self, index: int, skip: Tensor) -> Tensor:
        """The skip connection of one input block with its residual."""
        return _added(skip, self.output[index] if index < len(self.output) else None)

    def onto_middle(self, h: Tensor) -> Tensor:
        """The middle block's features with their residual."""
        return _added(h, self.middle)


def _added(h: Tensor, residual: Tensor | None) -> Tensor:
    return h if residual is None or residual.shape[2:] != h.shape[2:] else h + residual.to(h)


def _sum(a: Tensor | None, b: Tensor | None) -> Tensor | None:
    if a is None or b is None:
        return b if a is None else a
    return a + b
