"""Every kind of patch against its formula written out element by element, in double precision."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor

from comfykit.weights.adapters import (
    Adapted,
    Adapter,
    Difference,
    Hadamard,
    Kronecker,
    LowRank,
    OtherWeight,
    Replaced,
)
from comfykit.weights.patch import Entry

CPU = torch.device("cpu")


def random(*shape: int) -> Tensor:
    seed = sum((place + 1) * side for place, side in enumerate(shape))
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def product(up: Tensor, down: Tensor) -> Tensor:
    """up @ down as sums: [out, rank] and [rank, in] in double precision."""
    made = torch.zeros(up.shape[0], down.shape[1], dtype=torch.float64)
    for o, r, i in itertools.product(range(up.shape[0]), range(up.shape[1]), range(down.shape[1])):
        made[o, i] += float(up[o, r]) * float(down[r, i])
    return made


def tucker(core: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """The sum over p and q of core[p, q] a[p, out] b[q, in], for every place of the kernel."""
    made = torch.zeros(a.shape[1], b.shape[1], *core.shape[2:], dtype=torch.float64)
    for p, q in itertools.product(range(a.shape[0]), range(b.shape[0])):
        made += (
            core[p, q].double()[None, None]
            * a[p].double()[:, None, None, None]
            * b[q].double()[None, :, None, None]
        )
    return made


def assert_is(adapter: Adapter, expected: Tensor) -> None:
    found = adapter.difference(CPU)
    assert adapter.size == expected.numel() == found.numel()
    torch.testing.assert_close(found.reshape(expected.shape).double(), expected, rtol=1e-5, atol=1e-6)


def test_low_rank_of_a_linear_layer() -> None:
    up, down = random(6, 2), random(2, 5)
    assert_is(LowRank(up, down), product(up, down))


def test_low_rank_of_a_convolution() -> None:
    up, down = random(6, 2, 1, 1), random(2, 5, 3, 3)
    expected = torch.stack(
        [product(up[:, :, 0, 0], down[:, :, y, x]) for y, x in itertools.product(range(3), range(3))], dim=-1
    )
    assert_is(LowRank(up, down), expected.reshape(6, 5, 3, 3))


def test_low_rank_of_a_convolution_with_a_core() -> None:
    up, mid, down = random(6, 2, 1, 1), random(2, 3, 3, 3), random(3, 5, 1, 1)
    assert_is(LowRank(up, down, mid), tucker(mid, up[:, :, 0, 0].T, down[:, :, 0, 0]))


@pytest.mark.parametrize("kernel", [(), (3, 3)])
def test_hadamard(kernel: tuple[int, ...]) -> None:
    a1, b1, a2, b2 = random(6, 2), random(2, 5, *kernel), random(6, 3), random(3, 5, *kernel)
    expected = product(a1, b1.flatten(1)) * product(a2, b2.flatten(1))
    assert_is(Hadamard(a1, b1, a2, b2), expected.reshape(6, 5, *kernel))


def test_hadamard_with_cores() -> None:
    a, b, t = random(2, 6), random(2, 5), random(2, 2, 3, 3)
    a2, b2, t2 = 0.5 * random(2, 6), random(2, 5) - 1, random(2, 2, 3, 3).flip(0)
    assert_is(Hadamard(a, b, a2, b2, t, t2), tucker(t, a, b) * tucker(t2, a2, b2))


def kronecker(first: Tensor, second: Tensor) -> Tensor:
    """Blocks of `second`, each multiplied by one number of `first`."""
    rows = [torch.cat([number * second for number in row], dim=1) for row in first.double()]
    return torch.cat(rows, dim=0)


@pytest.mark.parametrize("kernel", [(), (3, 3)])
@pytest.mark.parametrize("first_is_whole", [True, False])
@pytest.mark.parametrize("second_is_whole", [True, False])
def test_kronecker(kernel: tuple[int, ...], first_is_whole: bool, second_is_whole: bool) -> None:
    first = random(2, 3) if first_is_whole else (random(2, 4), random(4, 3))
    second = random(5, 7, *kernel) if second_is_whole else (random(5, 4), random(4, 7, *kernel))
    whole_first = first.double() if isinstance(first, Tensor) else product(*first)
    whole_second = (
        second.double()
        if isinstance(second, Tensor)
        else product(second[0], second[1].flatten(1)).reshape(5, 7, *kernel)
    )
    adapter = Kronecker(first, second)
    assert_is(adapter, kronecker(whole_first, whole_second))
    assert adapter.difference(CPU).shape == (10, 21, *kernel)
    assert adapter.rank == (None if first_is_whole and second_is_whole else 4)


def test_kronecker_with_a_core() -> None:
    first, a, b, core = random(2, 3), random(4, 5), random(4, 7), random(4, 4, 3, 3)
    assert_is(Kronecker(first, (a, b), core), kronecker(first, tucker(core, a, b)))


def test_alpha_over_rank_scales() -> None:
    up, down, weight = random(6, 4), random(4, 5), random(6, 5)
    for alpha, scale in ((None, 1.0), (4.0, 1.0), (1.0, 0.25), (0.0, 0.0)):
        patched = Adapted(LowRank(up, down), alpha).apply(weight, 0.5)
        torch.testing.assert_close(patched, weight + 0.5 * scale * (up @ down))


def test_a_whole_kronecker_product_is_not_scaled() -> None:
    first, second, weight = random(2, 3), random(5, 7), random(10, 21)
    patched = Adapted(Kronecker(first, second), 100.0).apply(weight, 1.0)
    torch.testing.assert_close(patched, weight + torch.kron(first, second))


def test_the_patch_takes_the_shape_of_the_weight() -> None:
    weight = random(6, 5, 1, 1)
    patched = Adapted(LowRank(random(6, 2), random(2, 5))).apply(weight, 1.0)
    assert patched.shape == weight.shape


def test_half_precision_factors_are_multiplied_in_float32() -> None:
    up, down, weight = random(6, 64).half(), random(64, 5).half(), torch.zeros(6, 5)
    assert torch.equal(Adapted(LowRank(up, down)).apply(weight, 1.0), up.float() @ down.float())


@pytest.mark.parametrize("shape", [(6, 5), (6, 5, 3, 3)])
@pytest.mark.parametrize("strength", [1.0, 0.4])
def test_dora_per_input_gives_columns_the_lengths_that_it_says(
    shape: tuple[int, ...], strength: float
) -> None:
    weight, difference = random(*shape), 0.3 * random(*shape)
    lengths = torch.rand(1, 5, *(1,) * (len(shape) - 2)) + 0.5
    patched = Adapted(Difference(difference), None, lengths).apply(weight, strength)
    changed = weight + difference
    for column in range(5):
        whole = changed[:, column] / changed[:, column].norm() * lengths[0, column]
        expected = weight[:, column] + strength * (whole - weight[:, column])
        torch.testing.assert_close(patched[:, column], expected)


@pytest.mark.parametrize("lengths", [torch.rand(6) + 0.5, torch.rand(6, 1) + 0.5])
def test_dora_per_output_divides_by_the_length_of_the_weight(lengths: Tensor) -> None:
    weight, difference = random(6, 5), 0.3 * random(6, 5)
    patched = Adapted(Difference(difference), None, lengths).apply(weight, 1.0)
    for row, length in enumerate(lengths.flatten()):
        expected = (weight[row] + difference[row]) * length / weight[row].norm()
        torch.testing.assert_close(patched[row], expected)


def test_dora_scales_the_difference_before_the_norm() -> None:
    weight, up, down = random(6, 5), random(6, 4), random(4, 5)
    lengths = torch.ones(1, 5)
    scaled = Adapted(LowRank(up, down), 2.0, lengths).apply(weight, 1.0)
    whole = Adapted(Difference(0.5 * up @ down), None, lengths).apply(weight, 1.0)
    torch.testing.assert_close(scaled, whole)


def test_replaced_values_ignore_the_strength() -> None:
    weight, values = random(6, 5), random(5, 6).reshape(6, 5)
    assert torch.equal(Replaced(values).apply(weight, 0.1), values)


def test_the_weight_of_another_model_comes_with_its_patches() -> None:
    weight, other, difference = random(6, 5), random(5, 6).reshape(6, 5).half(), random(6, 5)
    entries = (Entry(Adapted(Difference(difference)), 2.0),)
    patched = OtherWeight(other, entries).apply(weight, 0.3)
    torch.testing.assert_close(patched, weight + 0.3 * (other.float() + 2.0 * difference))
