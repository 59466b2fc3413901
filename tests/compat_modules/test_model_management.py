from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from comfykit.compat.host.comfy import checkpoint_pickle, model_management
from comfykit.errors import Interrupted
from comfykit.events import Event


class Patcher:
    """As much of a model patcher as loading asks for."""

    load_device = torch.device("cpu")

    def __init__(self, further: list[Patcher] | None = None) -> None:
        self.model = nn.Linear(2, 2)
        self.further = further or []
        self.said: list[str] = []

    def model_size(self) -> int:
        return model_management.module_size(self.model)

    def patch_model(self, device_to: Any = None) -> nn.Module:
        self.said.append("patched")
        return self.model

    def detach(self, unpatch_all: bool = True) -> None:
        self.said.append("detached")

    def model_patches_models(self) -> list[Patcher]:
        return self.further


@pytest.fixture(autouse=True)
def _nothing_loaded(settings: object) -> Any:
    yield
    model_management.current_loaded_models.clear()


def test_the_device_is_that_of_the_run(events: list[Event]) -> None:
    assert model_management.get_torch_device() == torch.device("cpu")
    assert model_management.cpu_state is model_management.CPUState.CPU
    assert model_management.vram_state is model_management.VRAMState.DISABLED
    assert model_management.unet_dtype() is torch.float32
    assert model_management.unet_dtype(supported_dtypes=[torch.float16]) is torch.float32
    assert model_management.vae_dtype() is torch.float32
    assert not model_management.should_use_fp16()
    assert not model_management.should_use_bf16()
    assert model_management.intermediate_device().type == "cpu"
    assert model_management.intermediate_dtype() is torch.float32
    assert 0 < model_management.get_free_memory() <= model_management.get_total_memory()
    assert model_management.get_autocast_device(torch.device("cpu")) == "cpu"


def test_tensors_are_cast_only_where_need_be() -> None:
    given = torch.zeros(2)
    assert model_management.cast_to_device(given, "cpu", torch.float32) is given
    assert model_management.cast_to(given, torch.float16).dtype is torch.float16
    assert model_management.cast_to(given, copy=True) is not given


def test_models_are_loaded_with_those_that_belong_to_them() -> None:
    inner = Patcher()
    outer = Patcher([inner])
    model_management.load_models_gpu([outer], memory_required=1)
    assert (outer.said, inner.said) == (["patched"], ["patched"])
    model_management.load_model_gpu(outer)
    assert len(model_management.current_loaded_models) == 2
    assert set(model_management.loaded_models()) == {outer, inner}
    model_management.unload_all_models()
    assert outer.said[-1] == inner.said[-1] == "detached"
    assert model_management.loaded_models() == []


def test_models_make_way_for_memory() -> None:
    patcher = Patcher()
    model_management.load_models_gpu([patcher])
    gone = model_management.free_memory(1e18, torch.device("cpu"))
    assert [one.model for one in gone] == [patcher]
    assert model_management.current_loaded_models == []


def test_interruption_is_ours(events: list[Event]) -> None:
    model_management.interrupt_current_processing()
    assert model_management.processing_interrupted()
    with pytest.raises(model_management.InterruptProcessingException) as raised:
        model_management.throw_exception_if_processing_interrupted()
    assert isinstance(raised.value, Interrupted)
    assert not model_management.processing_interrupted()
    assert str(model_management.InterruptProcessingException()) == "interrupted"


def test_pickles_find_no_classes_that_could_run_code() -> None:
    import io
    import pickle

    class Trap:
        def __reduce__(self) -> Any:
            return print, ("x",)

    with pytest.raises(pickle.UnpicklingError, match="not looked up"):
        checkpoint_pickle.Unpickler(io.BytesIO(pickle.dumps(Trap()))).load()
