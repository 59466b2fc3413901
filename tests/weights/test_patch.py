from __future__ import annotations

import torch

from comfykit.weights.adapters import Adapted, Difference
from comfykit.weights.patch import NO_PATCHES, Entry, Patches, patched


def plus(number: float) -> Adapted:
    return Adapted(Difference(torch.full((2, 3), number)))


def test_patches_apply_in_the_order_in_which_they_were_added() -> None:
    weight = torch.ones(2, 3)
    entries = (Entry(plus(1.0)), Entry(plus(10.0), strength=0.5, strength_model=3.0))
    assert torch.equal(patched(weight, entries), torch.full((2, 3), 11.0))
    assert torch.equal(patched(weight, entries[::-1]), torch.full((2, 3), 9.0))


def test_the_weight_itself_stays_as_it_is() -> None:
    weight = torch.ones(2, 3)
    patched(weight, [Entry(plus(1.0), strength_model=2.0, rows=slice(0, 2)), Entry(plus(1.0))])
    assert torch.equal(weight, torch.ones(2, 3))


def test_a_patch_without_strength_only_scales() -> None:
    assert torch.equal(patched(torch.ones(2, 3), [Entry(plus(7.0), 0.0, 0.25)]), torch.full((2, 3), 0.25))


def test_a_patch_may_be_for_some_rows() -> None:
    made = patched(torch.zeros(4, 3), [Entry(plus(1.0), rows=slice(1, 3))])
    assert made.sum(dim=1).tolist() == [0, 3, 3, 0]


def test_it_is_computed_in_float32() -> None:
    weight = torch.full((2, 3), 2048.0, dtype=torch.float16)
    made = patched(weight, [Entry(plus(0.25)), Entry(plus(0.25))])
    assert made.dtype == torch.float32
    assert torch.equal(made, torch.full((2, 3), 2048.5))


def test_adding_makes_new_patches_and_leaves_the_old() -> None:
    first = NO_PATCHES.with_patches({"a": plus(1.0)})
    second = first.with_patches({"a": plus(2.0), "b": plus(3.0)}, 0.5)
    assert list(first) == ["a"]
    assert len(second.entries("a")) == 2
    assert second.entries("a")[0] is first.entries("a")[0]
    assert "b" in second
    assert "b" not in first
    assert second.entries("c") == ()
    assert torch.equal(second.apply("a", torch.zeros(2, 3)), torch.full((2, 3), 2.0))


def test_nothing_is_added_without_strength_or_patches() -> None:
    assert NO_PATCHES.with_patches({"a": plus(1.0)}, 0.0) is NO_PATCHES
    assert NO_PATCHES.with_patches({}) is NO_PATCHES


def test_patches_below_a_prefix() -> None:
    patches = Patches().with_patches({"x.a": plus(1.0), "y.a": plus(2.0)})
    assert list(patches.below("x.")) == ["a"]
    assert patches.below("x.").entries("a") == patches.entries("x.a")
