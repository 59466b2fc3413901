"""Small runs on the checkpoint of random weights, whose latents are written down in `recorded/latents.json`.

The engine agreed with ComfyUI on the parity cases when they were recorded; they hold it there where those
cases do not lie beside the checkout. To record anew, after such an agreement:

    python tests/random_weights.py HOME && python tests/recorded_runs.py HOME
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

import comfykit
from comfykit.sampling.samplers import SAMPLERS
from comfykit.sampling.schedulers import SCHEDULERS
from random_weights import random_workflow

RECORDED = Path(__file__).parent / "recorded" / "latents.json"

PROMPTS = {
    "plain": "a fox",
    "weights": "a (red:1.4) fox in the ((snow))",
    "long": "a fox, " * 40,
    "unicode": "Füchse im Schnee 狐",
}


def variants() -> Iterator[tuple[str, dict[str, Any]]]:
    """Name of each run and the inputs it sets."""
    small = {"4.width": 64, "4.height": 48, "5.steps": 5}
    for name in SAMPLERS:
        yield f"sampler {name}", {**small, "5.sampler_name": name}
    for name in SCHEDULERS:
        yield f"scheduler {name}", {**small, "5.sampler_name": "euler", "5.scheduler": name}
    for name, text in PROMPTS.items():
        yield f"prompt {name}", {**small, "5.steps": 2, "Positive.text": text}
    yield "denoise", {**small, "5.denoise": 0.5}
    yield "cfg 1", {**small, "5.cfg": 1.0}
    yield "batch", {**small, "4.batch_size": 3, "5.steps": 2}


def latent_of(engine: comfykit.Engine, inputs: dict[str, Any]) -> torch.Tensor:
    """The latent that a variant of the workflow ends with."""
    prompt = dict(random_workflow().prompt)
    del prompt["6"]
    prompt["7"] = {"class_type": "SaveLatent", "inputs": {"samples": ["5", 0], "filename_prefix": "recorded"}}
    result = engine.run(comfykit.Workflow.from_prompt(prompt).set(inputs))
    latent: torch.Tensor = result.inputs["7"]["samples"][0]["samples"]
    return latent


def shown(latent: torch.Tensor) -> list[float]:
    """A few numbers of a latent: its root mean square, then values spread over it."""
    flat = latent.double().flatten()
    picked = flat[:: max(1, len(flat) // 11)][:12]
    return [round(float(value), 6) for value in (flat.square().mean().sqrt(), *picked)]


def main() -> None:
    engine = comfykit.Engine(home=sys.argv[1], device="cpu", precision="fp32")
    found = {name: shown(latent_of(engine, inputs)) for name, inputs in variants()}
    lines = ",\n".join(f"  {json.dumps(name)}: {json.dumps(values)}" for name, values in found.items())
    RECORDED.write_text(f"{{\n{lines}\n}}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
