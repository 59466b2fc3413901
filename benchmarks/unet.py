"""Seconds per step of the U-Net, batch 2, against the same network and weights in diffusers.

    python benchmarks/unet.py CHECKPOINT [--sizes 64 256 512] [--precision fp32 bf16] [--repeats 5]
        [--json FILE]

CHECKPOINT is a single file of SD 1.x. The two take turns, step by step, so that whatever else the
machine does hits both; the table has the fastest step of each and, as the ratio, the median of the
quotients of the pairs (below 1 is faster than diffusers).
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from reference import load as load_diffusers
from torch import Tensor

from comfykit.memory import Residency, choose_dtype
from comfykit.models.unet import UNet
from comfykit.weights.detect import detect
from comfykit.weights.load import build
from comfykit.weights.read import open_weights, take

Step = Callable[[Tensor, Tensor, Tensor], object]


def load_comfykit(path: Path, precision: str) -> UNet:
    file = open_weights(path)
    part = detect(file.shapes).unet
    if part is None:
        raise SystemExit(f"{path}: no U-Net in it")
    network = build(lambda: UNet(part.config), take(file.tensors, part.prefix), what="the U-Net")
    Residency("cpu", precision).place_part(network, "unet")
    return network


def seconds(step: Step, x: Tensor) -> float:
    timesteps, context = torch.tensor([500.0, 500.0]), torch.zeros(2, 77, 768)
    begin = time.perf_counter()
    step(x, timesteps, context)
    return time.perf_counter() - begin


def measure(path: Path, precision: str, sizes: list[int], repeats: int) -> Iterator[dict[str, Any]]:
    dtype = choose_dtype(precision, torch.device("cpu"), "unet")
    ours, reference = load_comfykit(path, precision), load_diffusers(path, dtype, "unet")

    def diffusers_step(x: Tensor, timesteps: Tensor, context: Tensor) -> object:
        return reference(x.to(dtype), timesteps, context.to(dtype)).sample

    for size in sizes:
        x = torch.randn(2, 4, size // 8, size // 8)
        pairs = [(seconds(ours, x), seconds(diffusers_step, x)) for _ in range(repeats + 1)][1:]
        yield {
            "precision": precision,
            "pixels": size,
            "comfykit": min(pair[0] for pair in pairs),
            "diffusers": min(pair[1] for pair in pairs),
            "ratio": statistics.median(a / b for a, b in pairs),
        }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--sizes", type=int, nargs="+", default=[64, 256, 512])
    parser.add_argument("--precision", nargs="+", default=["fp32", "bf16"], choices=["fp32", "bf16"])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    rows = []
    print("| precision | pixels | comfykit s/step | diffusers s/step | ratio |")
    print("|---|---|---|---|---|")
    with torch.inference_mode():
        for precision in options.precision:
            for row in measure(options.checkpoint, precision, options.sizes, options.repeats):
                rows.append(row)
                print(
                    "| {precision} | {pixels} | {comfykit:.3f} | {diffusers:.3f} | {ratio:.2f} |".format(
                        **row
                    )
                )
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
