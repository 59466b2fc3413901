"""What half precision does to pictures, against what one step more or fewer does.

    python benchmarks/precision.py CHECKPOINT [--pixels 256] [--steps 20] [--seeds 3] [--device cpu]

For each seed the same picture is made in float32, in bfloat16 (only the U-Net computes in it) and in
float32 with one
step more, which is a choice nobody minds. Peak signal-to-noise ratios in decibels (PSNR; higher is closer)
and the
relative error of latents (root mean square) say how far the two are from the first.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from statistics import mean
from typing import Any

import torch

import comfykit


def workflow(checkpoint: str, pixels: int) -> comfykit.Workflow:
    sampler = {
        "model": ["1", 0], "positive": ["2", 0], "negative": ["3", 0], "latent_image": ["4", 0], "seed": 0,
        "steps": 20, "cfg": 7.0, "sampler_name": "dpmpp_2m", "scheduler": "karras", "denoise": 1.0,
    }  # fmt: skip
    size = {"width": pixels, "height": pixels, "batch_size": 1}
    prompt: dict[str, Any] = {
        "1": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": checkpoint}},
        "2": {"class_type": "CLIPTextEncode", "inputs": {"clip": ["1", 1], "text": "a red fox in the snow"}},
        "3": {"class_type": "CLIPTextEncode", "inputs": {"clip": ["1", 1], "text": "blurry"}},
        "4": {"class_type": "EmptyLatentImage", "inputs": size},
        "5": {"class_type": "KSampler", "inputs": sampler},
        "6": {"class_type": "VAEDecode", "inputs": {"samples": ["5", 0], "vae": ["1", 2]}},
        "7": {"class_type": "PreviewImage", "inputs": {"images": ["6", 0]}},
        "8": {"class_type": "SaveLatent", "inputs": {"samples": ["5", 0], "filename_prefix": "latent"}},
    }
    return comfykit.Workflow.from_prompt(prompt)


def psnr(a: torch.Tensor, b: torch.Tensor) -> float:
    return float(-10 * torch.log10((a - b).square().mean().clamp(min=1e-12)))


def relative(a: torch.Tensor, b: torch.Tensor) -> float:
    return float((a - b).square().mean().sqrt() / b.square().mean().sqrt())


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--pixels", type=int, default=256)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    variants = {
        "fp32": ("fp32", options.steps),
        "bf16": ("bf16", options.steps),
        "one step more": ("fp32", options.steps + 1),
    }
    made: dict[str, list[tuple[torch.Tensor, torch.Tensor]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        models = Path(folder) / "models" / "checkpoints"
        models.mkdir(parents=True)
        (models / options.checkpoint.name).symlink_to(options.checkpoint.resolve())
        base = workflow(options.checkpoint.name, options.pixels)
        for name, (precision, steps) in variants.items():
            engine = comfykit.Engine(home=folder, precision=precision, device=options.device)
            for seed in range(options.seeds):
                result = engine.run(base.set({"5.steps": steps}), seed=seed)
                latent = result.inputs["8"]["samples"][0]["samples"]
                made.setdefault(name, []).append((result.tensors("7")[0], latent))
    print(f"{'against fp32':16}{'PSNR mean':>10}{'PSNR least':>12}{'latents, relative':>20}")
    for name in list(variants)[1:]:
        pairs = list(zip(made[name], made["fp32"], strict=True))
        ratios = [psnr(a[0], b[0]) for a, b in pairs]
        errors = [relative(a[1], b[1]) for a, b in pairs]
        print(f"{name:16}{mean(ratios):10.1f}{min(ratios):12.1f}{mean(errors):20.4f}")


if __name__ == "__main__":
    main()
