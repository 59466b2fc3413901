"""Seconds and memory to load a checkpoint's U-Net and VAE, against the same in diffusers.

    python benchmarks/load.py CHECKPOINT [--precision auto fp32] [--repeats 3] [--json FILE]

CHECKPOINT is a single file of SD 1.x. Every load runs in a process of its own, the two in turns; its
clock starts after the imports. `ready` is the time until the networks are in the type they compute in,
`step` until one step of the U-Net at 64 pixels and one decoded picture are done too, which is when mapped
weights have been read for certain. The smallest of the repetitions counts; peak is the largest resident
set. The file should be in the page cache: the first, uncounted, round sees to it.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import torch
from torch import nn


def load_comfykit(path: Path, precision: str) -> tuple[nn.Module, nn.Module]:
    from comfykit.memory import Residency
    from comfykit.models.unet import UNet
    from comfykit.models.vae import AutoencoderKL
    from comfykit.weights.detect import detect
    from comfykit.weights.load import build
    from comfykit.weights.read import open_weights, take

    file = open_weights(path)
    found = detect(file.shapes)
    unet_part, vae_part = found.unet, found.vae
    if unet_part is None or vae_part is None:
        raise SystemExit(f"{path}: no U-Net or no VAE in it")
    unet = build(lambda: UNet(unet_part.config), take(file.tensors, unet_part.prefix), what="the U-Net")
    vae = build(lambda: AutoencoderKL(vae_part.config), take(file.tensors, vae_part.prefix), what="the VAE")
    residency = Residency("cpu", precision)
    residency.place_part(unet, "unet")
    residency.place_part(vae, "vae")
    return unet, vae


def load_diffusers(path: Path, precision: str) -> tuple[nn.Module, nn.Module]:
    from reference import load

    from comfykit.memory import choose_dtype

    cpu = torch.device("cpu")
    unet = load(path, choose_dtype(precision, cpu, "unet"), "unet")
    return unet, load(path, choose_dtype(precision, cpu, "vae"), "vae")


def once(engine: str, path: Path, precision: str) -> dict[str, float]:
    """Load and use the networks in this process."""
    if engine == "diffusers":
        import diffusers  # noqa: F401  (its import is not what is measured)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    begin = time.perf_counter()
    with torch.inference_mode():
        unet, vae = (load_comfykit if engine == "comfykit" else load_diffusers)(path, precision)
        ready = time.perf_counter() - begin
        dtype = next(unet.parameters()).dtype
        unet(torch.zeros(2, 4, 8, 8, dtype=dtype), torch.zeros(2), torch.zeros(2, 77, 768, dtype=dtype))
        vae.get_submodule("decoder")(torch.zeros(1, 4, 8, 8, dtype=next(vae.parameters()).dtype))
    step = time.perf_counter() - begin
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {"ready": ready, "step": step, "peak_gb": peak * 1024 / 1e9, "imports_gb": before * 1024 / 1e9}


def apart(engine: str, path: Path, precision: str) -> dict[str, float]:
    """The same in a process of its own."""
    command = [sys.executable, __file__, str(path), "--precision", precision, "--only", engine]
    run = subprocess.run(command, check=True, capture_output=True, text=True)
    values: dict[str, float] = json.loads(run.stdout.splitlines()[-1])
    return values


def measure(path: Path, precision: str, repeats: int) -> list[dict[str, Any]]:
    runs: dict[str, list[dict[str, float]]] = {"comfykit": [], "diffusers": []}
    for _ in range(repeats + 1):
        for engine, found in runs.items():
            found.append(apart(engine, path, precision))
    rows = []
    for engine, found in runs.items():
        counted = found[1:]
        best = {key: min(run[key] for run in counted) for key in ("ready", "step")}
        peak = max(run["peak_gb"] for run in counted)
        rows.append({"file": path.name, "precision": precision, "engine": engine, **best, "peak_gb": peak})
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--precision", nargs="+", default=["auto", "fp32"], choices=["auto", "fp32", "bf16"])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--only", choices=["comfykit", "diffusers"], help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.only:
        print(json.dumps(once(options.only, options.checkpoint, options.precision[0])))
        return
    rows = []
    print("| file | precision | engine | ready s | first step s | peak GB |")
    print("|---|---|---|---|---|---|")
    for precision in options.precision:
        for row in measure(options.checkpoint, precision, options.repeats):
            rows.append(row)
            line = "| {file} | {precision} | {engine} | {ready:.2f} | {step:.2f} | {peak_gb:.2f} |"
            print(line.format(**row), flush=True)
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
