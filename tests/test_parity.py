"""Pictures and latents that ComfyUI wrote, made again in float32."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import pytest
import torch
from safetensors.torch import save_file

from comfykit.services.run import Runner
from comfykit.settings import Settings, resolve
from comfykit.weights.detect import detect
from comfykit.workflow.read import read_workflow
from places import place_of_shared

# The folder below models/ of each generated file; its names are those of the families.
FOLDERS = {
    "tiny_vae": "vae",
    "tiny_embedding_sd15": "embeddings",
    "taesd_encoder": "vae_approx",
    "taesd_decoder": "vae_approx",
    "tiny_sd15_inpaint": "checkpoints",
    "tiny_sd15_ip2p": "checkpoints",
    "tiny_sd21": "checkpoints",
    "tiny_sd21_v": "checkpoints",
    "tiny_sd21_unclip": "checkpoints",
    "tiny_clip_vision": "clip_vision",
    "tiny_sdxl": "checkpoints",
    "tiny_sdxl_v": "checkpoints",
    "tiny_sdxl_refiner": "checkpoints",
    "tiny_sd15_controlnet": "controlnet",
    "tiny_sd15_control_lora": "controlnet",
    "tiny_sd15_b": "checkpoints",
    "tiny_sd15_lora": "loras",
    "tiny_sd15_loha": "loras",
    "tiny_sd15_lokr": "loras",
    "tiny_sd15_dora": "loras",
    "tiny_sdxl_lora": "loras",
    "tiny_esrgan_x4": "upscale_models",
    "tiny_esrgan_old_x4": "upscale_models",
}

NOT_YET = ("cascade",)  # families that the engine does not run

# Known while tests are collected, so that several processes can share the cases; none where they do not lie.
CASES = sorted(
    path.parent.name
    for path in (place_of_shared() / "parity" / "cases").glob("*/workflow.json")
    if not path.parent.name.startswith(NOT_YET)
)


def load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def settings(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A home with the generated checkpoints that the runnable cases name, and the input pictures."""
    home = tmp_path_factory.mktemp("parity")
    make = load(shared / "synth" / "make_checkpoint.py")
    for name in ("tiny_sd15", *FOLDERS):
        shapes = json.loads((shared / "synth" / "families" / f"{name}.json").read_text())
        wide = any(word in name for word in ("embedding", "esrgan", "taesd"))
        dtype = torch.float32 if wide else torch.float16
        tensors = {key: make.tensor(name, key, shape).to(dtype) for key, shape in shapes.items()}
        path = home / "models" / FOLDERS.get(name, "checkpoints") / f"{name}.safetensors"
        path.parent.mkdir(parents=True, exist_ok=True)
        save_file(tensors, path)
    flags = {"home": home, "input_dir": shared / "parity" / "input", "device": "cpu", "precision": "fp32"}
    return resolve(flags, environment={})


@pytest.fixture(scope="session")
def runner(settings: Settings) -> Runner:
    """One runner for all cases, which share what they load."""
    return Runner(settings)


@pytest.mark.parametrize("name", CASES)
def test_the_case_agrees(shared: Path, runner: Runner, settings: Settings, name: str) -> None:
    case = shared / "parity" / "cases" / name
    result = runner.run(read_workflow(case / "workflow.json"))
    assert result.succeeded, result.error
    agrees, said = load(shared / "parity" / "compare.py").judge(case, settings.output_dir)
    assert agrees, said


def test_every_case_is_there(shared: Path) -> None:
    assert len(CASES) >= 171


def test_the_generated_checkpoint_is_found_to_be_sd15(shared: Path) -> None:
    shapes = json.loads((shared / "synth" / "families" / "tiny_sd15.json").read_text())
    assert detect({name: tuple(shape) for name, shape in shapes.items()}).family == "sd15"
