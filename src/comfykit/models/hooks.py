"""Places in a U-Net where a model may be changed while it runs.

`UNetHooks` is a value that a model carries: functions by place, in the order in which they were added. A
network that is given `NO_HOOKS` runs as if there were no such thing. Places, in the order of a call:

    input block:   its layers, `after_input`, the skip connection is kept, `after_skip`
    middle block:  its layers, `after_middle`
    output block:  `before_output` with the skip connection, both are joined, its layers
    the whole:     `around`, which whoever calls the network applies

and inside each transformer block: self-attention (`attn1`), `between`, cross-attention (`attn2`), and the
feed-forward layers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeAlias

from torch import Tensor

BlockKind: TypeAlias = Literal["input", "middle", "output"]
Attention: TypeAlias = Literal["attn1", "attn2"]


@dataclass(frozen=True, slots=True, eq=False)
class CallInfo:
    """What hooks are told about a call of the network.

    `sigma` float32 [rows] are the noise levels, `sides` says for which side of guidance each conditioning is
    (0 positive, 1 negative, ...), all of them with equally many rows. `latent_size` is (height, width) of
    the network's input, `data` whatever `UNetHooks.data` holds.
    """

    sigma: Tensor
    sides: tuple[int, ...]
    latent_size: tuple[int, int]
    data: Mapping[str, Any] = field(default_factory=dict)

    def rows_of(self, side: int) -> slice | None:
        """The rows of the first conditioning of a side; None where the call has none."""
        if side not in self.sides:
            return None
        rows = self.sigma.shape[0] // len(self.sides)
        first = self.sides.index(side) * rows
        return slice(first, first + rows)


@dataclass(frozen=True, slots=True, eq=False)
class BlockInfo(CallInfo):
    """A block: its kind and its number among those of its kind, from 0; `transformer` as below."""

    kind: BlockKind = "input"
    number: int = 0
    transformer: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class AttentionInfo(BlockInfo):
    """A transformer block.

    `transformer` numbers the network's spatial transformers in the order of a call, `index` the blocks of
    one. The tokens are the pixels of `size` (height, width), row by row.
    """

    index: int = 0
    heads: int = 1
    dim_head: int = 1
    size: tuple[int, int] = (1, 1)

    def has_pixels(self, x: Tensor) -> bool:
        """Whether tokens [rows, tokens, width] are the pixels, which other hooks may have cut or merged."""
        height, width = self.size
        return x.shape[:2] == (self.sigma.shape[0], height * width)


AttentionInputs: TypeAlias = Callable[[Tensor, Tensor, Tensor, AttentionInfo], tuple[Tensor, Tensor, Tensor]]
"""Changes what queries, keys and values are projected from, each [B, tokens, width]."""

Attend: TypeAlias = Callable[[Tensor, Tensor, Tensor, AttentionInfo], Tensor]
"""Takes the place of attention: projected q, k, v [B, tokens, heads * dim_head] -> the shape of q."""

TokensHook: TypeAlias = Callable[[Tensor, AttentionInfo], Tensor]
"""Changes tokens [B, tokens, width]."""

FeaturesHook: TypeAlias = Callable[[Tensor, BlockInfo], Tensor]
"""Changes features [B, channels, h, w]."""

JoinHook: TypeAlias = Callable[[Tensor, Tensor, BlockInfo], tuple[Tensor, Tensor]]
"""Changes features and the skip connection that joins them."""

NetworkHook: TypeAlias = Callable[..., Tensor]
"""Stands around a whole call: (the network or the next such hook, `CallInfo`, inputs in order) -> output."""

Place: TypeAlias = tuple[BlockKind, int, int | None]
"""Kind and number of a block, and the index of a transformer block in it; None for all of them."""


@dataclass(frozen=True, slots=True, eq=False)
class AttentionHooks:
    """Hooks of one of the two attentions of transformer blocks, everywhere or, `replaced`, in places."""

    inputs: tuple[AttentionInputs, ...] = ()
    replaced: Mapping[Place, Attend] = field(default_factory=dict)
    outputs: tuple[TokensHook, ...] = ()

    def replaced_at(self, info: AttentionInfo) -> Attend | None:
        """What takes attention's place there."""
        exact = self.replaced.get((info.kind, info.number, info.index))
        return exact or self.replaced.get((info.kind, info.number, None))


NO_ATTENTION_HOOKS = AttentionHooks()


@dataclass(frozen=True, slots=True, eq=False)
class UNetHooks:
    """Functions by place; see the module. `data` is for hooks that want to find something there."""

    attn1: AttentionHooks = NO_ATTENTION_HOOKS
    attn2: AttentionHooks = NO_ATTENTION_HOOKS
    between: tuple[TokensHook, ...] = ()
    after_input: tuple[FeaturesHook, ...] = ()
    after_skip: tuple[FeaturesHook, ...] = ()
    after_middle: tuple[FeaturesHook, ...] = ()
    before_output: tuple[JoinHook, ...] = ()
    around: tuple[NetworkHook, ...] = ()
    data: Mapping[str, Any] = field(default_factory=dict)

    def with_inputs(self, which: Attention, hook: AttentionInputs) -> UNetHooks:
        """These hooks and one that changes what an attention is computed from."""
        hooks = self._attention(which)
        return self._with_attention(which, replace(hooks, inputs=(*hooks.inputs, hook)))

    def with_replaced(self, which: Attention, place: Place, attend: Attend) -> UNetHooks:
        """These hooks and one that takes attention's place in one block; the last one there counts."""
        hooks = self._attention(which)
        return self._with_attention(which, replace(hooks, replaced={**hooks.replaced, place: attend}))

    def with_outputs(self, which: Attention, hook: TokensHook) -> UNetHooks:
        """These hooks and one that changes what an attention adds to the tokens."""
        hooks = self._attention(which)
        return self._with_attention(which, replace(hooks, outputs=(*hooks.outputs, hook)))

    def with_between(self, hook: TokensHook) -> UNetHooks:
        """These hooks and one that changes the tokens between both attentions."""
        return replace(self, between=(*self.between, hook))

    def with_after_input(self, hook: FeaturesHook) -> UNetHooks:
        """These hooks and one that changes what an input block gives, skip connection included."""
        return replace(self, after_input=(*self.after_input, hook))

    def with_after_skip(self, hook: FeaturesHook) -> UNetHooks:
        """These hooks and one that changes what an input block hands down, but not its skip connection."""
        return replace(self, after_skip=(*self.after_skip, hook))

    def with_after_middle(self, hook: FeaturesHook) -> UNetHooks:
        """These hooks and one that changes what the middle block gives."""
        return replace(self, after_middle=(*self.after_middle, hook))

    def with_before_output(self, hook: JoinHook) -> UNetHooks:
        """These hooks and one that changes features and skip connection before they are joined."""
        return replace(self, before_output=(*self.before_output, hook))

    def with_around(self, hook: NetworkHook) -> UNetHooks:
        """These hooks and one that stands around the whole network, outside of those before it."""
        return replace(self, around=(*self.around, hook))

    def with_data(self, **data: Any) -> UNetHooks:
        """These hooks and more to find in `CallInfo.data`."""
        return replace(self, data={**self.data, **data})

    def _attention(self, which: Attention) -> AttentionHooks:
        return self.attn1 if which == "attn1" else self.attn2

    def _with_attention(self, which: Attention, hooks: AttentionHooks) -> UNetHooks:
        return replace(self, attn1=hooks) if which == "attn1" else replace(self, attn2=hooks)


NO_HOOKS = UNetHooks()


@dataclass(frozen=True, slots=True, eq=False)
class HookedBlock:
    """Hooks as one block sees them."""

    hooks: UNetHooks
    info: BlockInfo

    def after_input(self, h: Tensor) -> Tensor:
        """What an input block gives."""
        return self._changed(h, self.hooks.after_input)

    def after_skip(self, h: Tensor) -> Tensor:
        """What an input block hands down."""
        return self._changed(h, self.hooks.after_skip)

    def after_middle(self, h: Tensor) -> Tensor:
        """What the middle block gives."""
        return self._changed(h, self.hooks.after_middle)

    def before_output(self, h: Tensor, skip: Tensor) -> tuple[Tensor, Tensor]:
        """What an output block joins."""
        for hook in self.hooks.before_output:
            h, skip = hook(h, skip, self.info)
        return h, skip

    def transformer(self, index: int, heads: int, width: int, size: tuple[int, int]) -> HookedTransformer:
        """Hooks as one transformer block of the block sees them."""
        info = self.info
        return HookedTransformer(
            self.hooks,
            AttentionInfo(
                info.sigma,
                info.sides,
                info.latent_size,
                info.data,
                info.kind,
                info.number,
                info.transformer,
                index=index,
                heads=heads,
                dim_head=width // heads,
                size=size,
            ),
        )

    def _changed(self, h: Tensor, hooks: tuple[FeaturesHook, ...]) -> Tensor:
        for hook in hooks:
            h = hook(h, self.info)
        return h


@dataclass(frozen=True, slots=True, eq=False)
class HookedTransformer:
    """Hooks as one transformer block sees them."""

    hooks: UNetHooks
    info: AttentionInfo

    def self_attention(self, layer: Callable[..., Tensor], x: Tensor) -> Tensor:
        """The block's first attention, of tokens to themselves."""
        return self._attention(self.hooks.attn1, layer, x, x)

    def between(self, x: Tensor) -> Tensor:
        """The tokens between both attentions."""
        for hook in self.hooks.between:
            x = hook(x, self.info)
        return x

    def cross_attention(self, layer: Callable[..., Tensor], x: Tensor, context: Tensor) -> Tensor:
        """The block's second attention, to the context."""
        return self._attention(self.hooks.attn2, layer, x, context)

    def _attention(
        self, hooks: AttentionHooks, layer: Callable[..., Tensor], x: Tensor, context: Tensor
    ) -> Tensor:
        q, k, v = x, context, context
        for change in hooks.inputs:
            q, k, v = change(q, k, v, self.info)
        out = layer(q, k, v, self._told(hooks.replaced_at(self.info)))
        for hook in hooks.outputs:
            out = hook(out, self.info)
        return out

    def _told(self, attend: Attend | None) -> Callable[[Tensor, Tensor, Tensor], Tensor] | None:
        return None if attend is None else lambda q, k, v: attend(q, k, v, self.info)
