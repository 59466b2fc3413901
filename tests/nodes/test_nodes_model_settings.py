from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from nodes_support import Run

from comfykit.errors import UsageError
from comfykit.families.components import DiffusionModel
from comfykit.families.load import load_checkpoint
from comfykit.memory import Residency
from comfykit.nodes.hypernetworks import hypernetwork_loader
from comfykit.nodes.model_settings import model_compute_dtype, torch_compile_model
from comfykit.nodes.noising import add_noise
from comfykit.sampling.denoiser import Evaluation
from comfykit.sampling.latent_noise import NoNoise, RandomNoise
from random_weights import CHECKPOINT

LATENT = {"samples": torch.full((1, 4, 8, 8), 0.5)}


@pytest.fixture
def model(random_home: Path) -> DiffusionModel:
    return load_checkpoint(random_home / "models" / "checkpoints" / CHECKPOINT).model


def test_a_model_computes_in_the_type_it_was_given(model: DiffusionModel) -> None:
    residency = Residency("cpu", "fp32")
    call = Evaluation(
        torch.ones(1, 4, 8, 8), torch.tensor([5.0]), torch.ones(1, 7, model.network.config.context_dim), {}
    )
    with torch.inference_mode():
        exact = model.predictor(residency)(call)
        near = model_compute_dtype(model, "bf16").predictor(residency)(call)
        assert next(model.network.parameters()).dtype == torch.bfloat16
        again = model_compute_dtype(model, "default").predictor(residency)(call)
    assert torch.equal(again, exact)
    assert 0 < float((near - exact).norm() / exact.norm()) < 0.1


def test_a_compiler_that_is_missing_is_missed_at_once(
    run: Run, model: DiffusionModel, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match="cudagraphs needs an NVIDIA GPU"):
        torch_compile_model(run.context, model, "cudagraphs")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CXX", raising=False)
    with pytest.raises(UsageError, match=r"C\+\+ compiler"):
        torch_compile_model(run.context, model, "inductor")


def test_a_compiled_model_is_called_in_the_network_s_place(
    run: Run, model: DiffusionModel, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    compiler = tmp_path / "g++"
    compiler.touch(mode=0o755)
    monkeypatch.setenv("CXX", str(compiler))
    changed = torch_compile_model(run.context, model, "inductor")
    assert changed.compiled is not None
    assert changed.network is model.network
    assert model.compiled is None


def test_hooks_are_never_compiled(model: DiffusionModel) -> None:
    def compiled(*inputs: Any) -> Any:
        raise AssertionError("a compiled network may have been made with other hooks")

    call = Evaluation(
        torch.ones(1, 4, 8, 8), torch.tensor([5.0]), torch.ones(1, 7, model.network.config.context_dim), {}
    )
    hooks = model.hooks.with_outputs("attn1", lambda out, info: out)
    residency = Residency("cpu", "fp32")
    with torch.inference_mode():
        found = replace(model, compiled=compiled, hooks=hooks).predictor(residency)(call)
        torch.testing.assert_close(found, model.predictor(residency)(call))
        with pytest.raises(AssertionError):
            replace(model, compiled=compiled).predictor(residency)(call)


@pytest.mark.parametrize(("sigmas", "level"), [([7.0, 3.0, 1.5], 5.5), ([2.0], 2.0), ([1.0, 4.0], 3.0)])
def test_noise_is_that_between_the_first_and_the_last_level(
    model: DiffusionModel, sigmas: list[float], level: float
) -> None:
    noise = RandomNoise(3)
    found = add_noise(model, noise, torch.tensor(sigmas), {**LATENT, "batch_index": [0]})
    expected = LATENT["samples"] + noise.generate_noise(LATENT) * level / model.family.latent_format.scale
    torch.testing.assert_close(found["samples"], expected)
    assert found["batch_index"] == [0]


def test_nothing_is_added_without_levels_or_noise(model: DiffusionModel) -> None:
    assert add_noise(model, RandomNoise(3), torch.empty(0), LATENT) is LATENT
    found = add_noise(model, NoNoise(), torch.tensor([4.0, 1.0]), LATENT)
    torch.testing.assert_close(found["samples"], LATENT["samples"])


def test_a_hypernetwork_is_found_by_its_name(run: Run, model: DiffusionModel) -> None:
    folder = run.settings.home.root / "models" / "hypernetworks"
    folder.mkdir(parents=True)
    width = model.network.config.context_dim
    layers: dict[str, Any] = {
        "linear.0.weight": torch.zeros(width, width),
        "linear.0.bias": torch.ones(width),
    }
    torch.save({width: (layers, layers), "activation_func": "relu"}, folder / "mine.pt")
    changed = hypernetwork_loader(run.context, model, "mine.pt", 2.0)
    (hook,) = changed.hooks.attn2.inputs
    x = torch.zeros(1, 3, width)
    _, k, v = hook(x, x, x, None)  # type: ignore[arg-type]
    assert k.unique().tolist() == v.unique().tolist() == [2.0]
