"""Devices, types, and what is placed where."""

from __future__ import annotations

import gc
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from comfykit import memory
from comfykit.errors import UsageError
from comfykit.memory import (
    HEADROOM,
    MOST_ASIDE,
    Residency,
    choose_device,
    choose_dtype,
    cpu_has_bfloat16,
    free_memory,
)
from comfykit.weights.load import build
from comfykit.weights.read import open_weights

CPU = torch.device("cpu")
GPU = torch.device("cuda", 0)


def network(width: int = 8) -> nn.Module:
    return nn.Sequential(nn.Conv2d(width, width, 3), nn.Linear(width, width)).eval().requires_grad_(False)


def pointers(module: nn.Module) -> dict[str, int]:
    return {name: tensor.data_ptr() for name, tensor in module.named_parameters()}


def test_auto_is_cuda_where_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert choose_device("auto") == CPU
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)
    assert choose_device("auto") == choose_device("cuda") == GPU
    assert choose_device("cpu") == CPU


@pytest.mark.parametrize(
    ("version", "said"), [(None, "built without CUDA"), ("13.0", "no usable GPU or driver")]
)
def test_cuda_that_is_not_there_is_a_usage_error(
    monkeypatch: pytest.MonkeyPatch, version: str | None, said: str
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.version, "cuda", version)
    monkeypatch.setattr(torch.version, "hip", None)
    with pytest.raises(UsageError, match=said):
        choose_device("cuda")


def test_an_unknown_device_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="'tpu' is not one of"):
        choose_device("tpu")


@pytest.mark.parametrize("native", [True, False])
def test_types_on_a_cpu(monkeypatch: pytest.MonkeyPatch, native: bool) -> None:
    monkeypatch.setattr(memory, "cpu_has_bfloat16", lambda: native)
    assert choose_dtype("auto", CPU, "unet") == (torch.bfloat16 if native else torch.float32)
    assert choose_dtype("auto", CPU, "vae") == choose_dtype("auto", CPU, "text") == torch.float32
    assert choose_dtype("fp32", CPU, "unet") == torch.float32
    assert choose_dtype("bf16", CPU, "unet") == torch.bfloat16
    with pytest.raises(UsageError, match="fp16 cannot be used on a CPU"):
        choose_dtype("fp16", CPU, "unet")


@pytest.mark.parametrize(("native", "vae"), [(True, torch.bfloat16), (False, torch.float32)])
def test_types_on_a_gpu(monkeypatch: pytest.MonkeyPatch, native: bool, vae: torch.dtype) -> None:
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: native)
    for precision in ("auto", "fp16"):
        assert choose_dtype(precision, GPU, "unet") == choose_dtype(precision, GPU, "text") == torch.float16
        assert choose_dtype(precision, GPU, "vae") == vae
    assert choose_dtype("fp32", GPU, "vae") == choose_dtype("fp32", GPU, "unet") == torch.float32
    assert choose_dtype("bf16", GPU, "unet") == torch.bfloat16


def test_an_unknown_precision_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="'fp8' is not one of auto, fp32"):
        choose_dtype("fp8", CPU, "unet")


@pytest.mark.parametrize(
    ("flags", "native"),
    [({"avx512_bf16": True}, True), ({"amx_bf16": True}, True), ({"avx512_f": True}, False)],
)
def test_bfloat16_is_what_the_cpu_says(
    monkeypatch: pytest.MonkeyPatch, flags: dict[str, bool], native: bool
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: flags, raising=False)
    cpu_has_bfloat16.cache_clear()
    assert cpu_has_bfloat16() is native
    cpu_has_bfloat16.cache_clear()


@pytest.mark.skipif(not Path("/proc/cpuinfo").is_file(), reason="reads /proc")
def test_bfloat16_is_the_same_by_either_way(monkeypatch: pytest.MonkeyPatch) -> None:
    cpu_has_bfloat16.cache_clear()
    by_torch = cpu_has_bfloat16()
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    cpu_has_bfloat16.cache_clear()
    assert cpu_has_bfloat16() is by_torch
    cpu_has_bfloat16.cache_clear()


def test_what_fits_is_not_copied() -> None:
    module, residency = network(), Residency("cpu")
    before = pointers(module)
    residency.place(module, CPU, torch.float32)
    assert pointers(module) == before
    assert residency.resident_bytes() == 0


def test_converted_convolutions_are_channels_last() -> None:
    module, residency = network(), Residency("cpu")
    exact = {name: tensor.clone() for name, tensor in module.named_parameters()}
    residency.place(module, CPU, torch.bfloat16)
    for name, tensor in module.named_parameters():
        assert torch.equal(tensor, exact[name].bfloat16())
    assert module[0].weight.is_contiguous(memory_format=torch.channels_last)
    assert residency.resident_bytes() == 2 * sum(tensor.numel() for tensor in exact.values())


def test_converted_float32_keeps_its_layout() -> None:
    module, residency = network().half(), Residency("cpu")
    residency.place(module, CPU, torch.float32)
    assert module[0].weight.is_contiguous()
    assert residency.resident_bytes() == sum(tensor.nbytes for tensor in module.parameters())


def test_channels_last_can_be_asked_for() -> None:
    module, residency = network(), Residency("cpu")
    residency.place(module, CPU, torch.float32, channels_last=True)
    assert module[0].weight.is_contiguous(memory_format=torch.channels_last)
    assert residency.resident_bytes() == module[0].weight.nbytes


def test_whole_numbers_keep_their_type() -> None:
    module, residency = nn.BatchNorm2d(4).requires_grad_(False), Residency("cpu")
    residency.place(module, CPU, torch.bfloat16)
    assert module.running_mean.dtype == torch.bfloat16
    assert module.num_batches_tracked.dtype == torch.int64


def test_placing_twice_converts_once() -> None:
    module, residency = network(), Residency("cpu")
    residency.place(module, CPU, torch.bfloat16)
    before = pointers(module)
    residency.place(module, CPU, torch.bfloat16)
    assert pointers(module) == before


def test_another_type_starts_from_the_file_again() -> None:
    module, residency = network(), Residency("cpu")
    exact = {name: tensor.clone() for name, tensor in module.named_parameters()}
    residency.place(module, CPU, torch.bfloat16)
    residency.place(module, CPU, torch.float64)
    for name, tensor in module.named_parameters():
        assert torch.equal(tensor, exact[name].double())


def test_unloading_gives_the_tensors_of_the_file_back() -> None:
    module, residency = network(), Residency("cpu")
    before = pointers(module)
    residency.place(module, CPU, torch.bfloat16)
    residency.unload(module)
    assert pointers(module) == before
    assert residency.resident_bytes() == 0
    residency.unload(module)  # nothing is left to do


def test_clear_unloads_everything() -> None:
    modules, residency = [network(), network()], Residency("cpu")
    before = [pointers(module) for module in modules]
    for module in modules:
        residency.place(module, CPU, torch.bfloat16)
    residency.clear()
    assert [pointers(module) for module in modules] == before


class Machine:
    """A device with `total` bytes, of which the copies of the modules take their part."""

    def __init__(self, total: int, *modules: nn.Module) -> None:
        self.total = total + HEADROOM
        self.modules = modules

    def free(self, device: torch.device) -> int:
        tensors = (tensor for module in self.modules for tensor in module.parameters())
        return self.total - sum(tensor.nbytes for tensor in tensors if tensor.dtype == torch.bfloat16)


def test_the_module_placed_longest_ago_makes_room() -> None:
    a, b, c = network(), network(), network()
    size = 2 * sum(tensor.numel() for tensor in a.parameters())
    residency = Residency("cpu", free=Machine(2 * size, a, b, c).free)
    for module in (a, b, a, c):
        residency.place(module, CPU, torch.bfloat16)
    types = [next(module.parameters()).dtype for module in (a, b, c)]
    assert types == [torch.bfloat16, torch.float32, torch.bfloat16]


def test_modules_that_work_together_do_not_push_each_other_out() -> None:
    a, b, c = network(), network(), network()
    size = 2 * sum(tensor.numel() for tensor in a.parameters())
    residency = Residency("cpu", free=Machine(2 * size, a, b, c).free)
    for module in (a, b, c):
        residency.place(module, CPU, torch.bfloat16, keep=(a,))
    types = [next(module.parameters()).dtype for module in (a, b, c)]
    assert types == [torch.bfloat16, torch.float32, torch.bfloat16]


def test_make_room_stops_when_there_is_enough() -> None:
    a, b = network(), network()
    size = 2 * sum(tensor.numel() for tensor in a.parameters())
    residency = Residency("cpu", free=Machine(2 * size, a, b).free)
    for module in (a, b):
        residency.place(module, CPU, torch.bfloat16)
    residency.make_room(1)
    assert residency.resident_bytes() == size
    residency.make_room(100 * size)
    assert residency.resident_bytes() == 0


def test_a_module_that_is_gone_is_not_held() -> None:
    module, residency = network(), Residency("cpu")
    residency.place(module, CPU, torch.bfloat16)
    del module
    gc.collect()
    assert residency.resident_bytes() == 0


class Unwilling(Tensor):
    """A tensor that cannot be converted."""

    def to(self, *args: object, **kwargs: object) -> Tensor:
        raise MemoryError


def test_a_placement_that_fails_leaves_the_module_as_it_was() -> None:
    module, residency = network(), Residency("cpu")
    module[1].bias.data = torch.zeros(8).as_subclass(Unwilling)
    module[1]._parameters["bias"] = torch.zeros(8).as_subclass(Unwilling)
    before = pointers(module[0])
    with pytest.raises(MemoryError):
        residency.place(module, CPU, torch.bfloat16)
    assert pointers(module[0]) == before


def test_parts_are_placed_by_policy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "cpu_has_bfloat16", lambda: True)
    unet, vae, residency = network(), network(), Residency("cpu")
    residency.place_part(unet, "unet")
    residency.place_part(vae, "vae")
    assert unet[0].weight.dtype == torch.bfloat16
    assert vae[0].weight.dtype == torch.float32
    assert vae[0].weight.is_contiguous(memory_format=torch.channels_last)


def test_what_is_placed_in_inference_mode_can_be_used_outside() -> None:
    module, residency = network(), Residency("cpu")
    with torch.inference_mode():
        residency.place(module, CPU, torch.bfloat16)
    assert not any(tensor.is_inference() for tensor in module.parameters())


def test_free_memory_of_the_cpu_is_a_number_of_bytes() -> None:
    assert 0 < free_memory(CPU) < 1 << 50


def resident_pages(path: Path) -> int:
    """KiB of a mapped file that are in memory."""
    total, inside = 0, False
    for line in Path("/proc/self/smaps").read_text().splitlines():
        if "-" in line.split()[0]:
            inside = line.endswith(str(path))
        elif inside and line.startswith("Rss:"):
            total += int(line.split()[1])
    return total


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_pages_of_a_converted_file_are_let_go(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    exact = network(256)
    save_file(dict(exact.state_dict()), path)
    module = build(lambda: network(256), open_weights(path).tensors, what="it")
    residency = Residency("cpu")
    residency.place(module, CPU, torch.bfloat16)
    assert resident_pages(path) < path.stat().st_size / 1024 / 4
    residency.unload(module)
    for name, tensor in module.named_parameters():
        assert torch.equal(tensor, exact.get_parameter(name))
    assert resident_pages(path) > path.stat().st_size / 1024 / 4 * 3


class Plus:
    """Patches that add a number to parameters; equal numbers change them alike."""

    def __init__(self, **numbers: float) -> None:
        self.numbers = {name.replace("_", "."): number for name, number in numbers.items()}
        self.applied: list[str] = []

    def entries(self, name: str) -> tuple[float, ...]:
        return (self.numbers[name],) if name in self.numbers else ()

    def apply(self, name: str, weight: Tensor) -> Tensor:
        self.applied.append(name)
        return weight.float() + self.numbers[name]


class Unable(Plus):
    def apply(self, name: str, weight: Tensor) -> Tensor:
        raise MemoryError


def values(module: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in module.named_parameters()}


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_patches_are_computed_in_float32_from_the_file(dtype: torch.dtype) -> None:
    module, residency = network(), Residency("cpu")
    exact = values(module)
    residency.place(module, CPU, dtype, patches=Plus(**{"1_weight": 0.001}))
    assert torch.equal(module[1].weight, (exact["1.weight"] + 0.001).to(dtype))
    assert torch.equal(module[0].weight, exact["0.weight"].to(dtype))


def test_patching_one_layer_copies_that_layer_only() -> None:
    module, residency = network(), Residency("cpu")
    before = pointers(module)
    residency.place(module, CPU, torch.float32, patches=Plus(**{"1_weight": 1.0}))
    after = pointers(module)
    assert [name for name in before if after[name] != before[name]] == ["1.weight"]
    assert residency.resident_bytes() == module[1].weight.nbytes


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_without_patches_a_module_is_as_it_was_to_the_last_bit(dtype: torch.dtype) -> None:
    module, residency = network(), Residency("cpu")
    residency.place(module, CPU, dtype)
    unpatched = values(module)
    residency.place(module, CPU, dtype, patches=Plus(**{"1_weight": 0.1, "0_bias": 0.3}))
    residency.place(module, CPU, dtype)
    assert all(torch.equal(tensor, unpatched[name]) for name, tensor in module.named_parameters())


def test_modules_alternate_between_patches() -> None:
    module, residency = network(), Residency("cpu")
    exact = values(module)
    one, other = Plus(**{"1_weight": 1.0}), Plus(**{"1_weight": 2.0, "0_bias": 3.0})
    for patches in (one, other, one, other):
        residency.place(module, CPU, torch.float32, patches=patches)
        for name, tensor in module.named_parameters():
            assert torch.equal(tensor, exact[name] + patches.numbers.get(name, 0.0))


def test_only_what_differs_is_made_anew() -> None:
    module, residency = network(), Residency("cpu")
    one, other = Plus(**{"1_weight": 1.0, "0_bias": 1.0}), Plus(**{"1_weight": 1.0, "0_bias": 2.0})
    residency.place(module, CPU, torch.bfloat16, patches=one)
    before = pointers(module)
    residency.place(module, CPU, torch.bfloat16, patches=other)
    after = pointers(module)
    assert other.applied == ["0.bias"]
    assert [name for name in before if after[name] != before[name]] == ["0.bias"]
    residency.place(module, CPU, torch.bfloat16, patches=other)
    assert other.applied == ["0.bias"]


def test_unloading_takes_patches_off() -> None:
    module, residency = network(), Residency("cpu")
    before = pointers(module)
    residency.place(module, CPU, torch.float32, patches=Plus(**{"1_weight": 1.0}))
    residency.unload(module)
    assert pointers(module) == before


def test_another_type_keeps_the_patches_that_are_asked_for() -> None:
    module, residency = network(), Residency("cpu")
    exact, patches = values(module), Plus(**{"1_weight": 0.001})
    residency.place(module, CPU, torch.bfloat16, patches=patches)
    residency.place(module, CPU, torch.float32, patches=patches)
    assert torch.equal(module[1].weight, exact["1.weight"] + 0.001)


def test_a_patch_that_fails_leaves_the_module_as_the_file_has_it() -> None:
    module, residency = network(), Residency("cpu")
    before = pointers(module)
    residency.place(module, CPU, torch.float32, patches=Plus(**{"1_weight": 1.0, "0_bias": 1.0}))
    with pytest.raises(MemoryError):
        residency.place(module, CPU, torch.float32, patches=Unable(**{"1_weight": 2.0}))
    assert pointers(module) == before
    residency.place(module, CPU, torch.float32)
    assert pointers(module) == before


def test_sources_are_the_tensors_of_the_file() -> None:
    module, residency = network(), Residency("cpu")
    before = pointers(module)
    residency.place(module, CPU, torch.bfloat16, patches=Plus(**{"1_weight": 1.0}))
    assert {name: tensor.data_ptr() for name, tensor in residency.sources(module).items()} == before
    assert all(tensor.dtype == torch.float32 for tensor in residency.sources(module).values())


def test_what_is_set_aside_is_not_made_again() -> None:
    module, residency = network(), Residency("cpu")
    one, other = Plus(**{"1_weight": 1.0}), Plus(**{"1_weight": 2.0, "0_bias": 3.0})
    seen: list[dict[str, int]] = []
    for patches in (one, other, one, other, None):
        residency.place(module, CPU, torch.bfloat16, patches=patches, set_aside=True)
        seen.append(pointers(module))
    assert (one.applied, sorted(other.applied)) == (["1.weight"], ["0.bias", "1.weight"])
    assert seen[2] == seen[0]
    assert seen[3] == seen[1]
    assert torch.equal(module[1].weight, residency.sources(module)["1.weight"].bfloat16())


def test_only_the_last_placements_are_set_aside() -> None:
    module, residency = network(), Residency("cpu")
    many = [Plus(**{"1_weight": float(number)}) for number in range(MOST_ASIDE + 2)]
    for patches in (*many, many[1], many[0]):
        residency.place(module, CPU, torch.float32, patches=patches, set_aside=True)
    assert [len(patches.applied) for patches in many[:2]] == [2, 1]


def test_without_room_nothing_is_set_aside() -> None:
    module = network()
    residency = Residency("cpu", free=Machine(0, module).free)
    one, other = Plus(**{"1_weight": 1.0}), Plus(**{"1_weight": 2.0})
    for patches in (one, other, one):
        residency.place(module, CPU, torch.float32, patches=patches, set_aside=True)
    assert one.applied == ["1.weight", "1.weight"]


def test_what_is_set_aside_makes_room_before_modules_do() -> None:
    module, room = network(), [1 << 40]
    residency = Residency("cpu", free=lambda device: room[0])
    one, other = Plus(**{"1_weight": 1.0}), Plus(**{"1_weight": 2.0})
    for patches in (one, other):
        residency.place(module, CPU, torch.float32, patches=patches, set_aside=True)
    room[0] = 0
    residency.make_room(1, keep=(module,))
    room[0] = 1 << 40
    residency.place(module, CPU, torch.float32, patches=one, set_aside=True)
    assert one.applied == ["1.weight", "1.weight"]


def test_what_is_set_aside_goes_when_something_else_is_placed() -> None:
    one, other = Plus(**{"1_weight": 1.0}), Plus(**{"1_weight": 2.0})
    module, beside, after, residency = network(), network(), network(), Residency("cpu")
    for patches in (one, other):
        residency.place(module, CPU, torch.float32, patches=patches, set_aside=True)
    residency.place(beside, CPU, torch.float32, keep=(module,))
    residency.place(module, CPU, torch.float32, patches=one, set_aside=True)
    assert one.applied == ["1.weight"]
    residency.place(after, CPU, torch.float32)
    residency.place(module, CPU, torch.float32, patches=other, set_aside=True)
    assert other.applied == ["1.weight", "1.weight"]
