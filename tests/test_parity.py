"""Pictures and latents that ComfyUI wrote, made again: every case in one process, in float32."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from comfykit.nodes.builtin import builtin_registry
from comfykit.sampling.samplers import SAMPLERS
from comfykit.services.run import Runner
from comfykit.settings import Settings, resolve
from comfykit.weights.detect import detect
from comfykit.workflow.read import read_workflow

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


def runnable(prompt: dict[str, Any], settings: Settings) -> bool:
    """Whether the engine has all that a case needs: node classes, samplers, model families."""
    registry = builtin_registry()
    for node in prompt.values():
        inputs = node["inputs"]
        if node["class_type"] not in registry or inputs.get("sampler_name", "euler") not in SAMPLERS:
            return False
        for kind, key in (
            ("checkpoints", "ckpt_name"),
            ("vae", "vae_name"),
            ("controlnet", "control_net_name"),
            ("loras", "lora_name"),
            ("upscale_models", "model_name"),
        ):
            if key in inputs and inputs[key] not in {*settings.home.names(kind), "taesd"}:
                return False
    return True


def test_every_case_that_can_run_agrees(shared: Path, settings: Settings) -> None:
    cases = shared / "parity" / "cases"
    compare = load(shared / "parity" / "compare.py")
    judge: Callable[[Path, Path], tuple[bool, str]] = compare.judge
    runner = Runner(settings)
    disagree: dict[str, str] = {}
    agree: list[str] = []
    for case in sorted(path for path in cases.iterdir() if (path / "workflow.json").is_file()):
        workflow = read_workflow(case / "workflow.json")
        if not runnable(workflow.prompt, settings):
            continue
        result = runner.run(workflow)
        good, said = judge(case, settings.output_dir) if result.succeeded else (False, str(result.error))
        if good:
            agree.append(case.name)
        else:
            disagree[case.name] = said
    assert not disagree
    assert len(agree) >= 40, "the cases of SD 1.x text to image, image to image and image scaling"


def test_the_generated_checkpoint_is_found_to_be_sd15(shared: Path) -> None:
    shapes = json.loads((shared / "synth" / "families" / "tiny_sd15.json").read_text())
    assert detect({name: tuple(shape) for name, shape in shapes.items()}).family == "sd15"
