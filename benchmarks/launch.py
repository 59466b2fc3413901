"""What a user waits for: from launching `comfykit run` to the picture.

    python benchmarks/launch.py CHECKPOINT [--precision fp32 auto] [--sizes 64 256] [--steps 4] [--repeat 3]

Each run is a process of its own that makes one square picture, cfg 6.5 (two rows a step), euler. Seconds
are counted from launch: until the workflow is checked and starts, and until the picture is written. A
step is the median time
between two progress events. Peak is the largest resident set, which counts the pages of the
mapped file that were used.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Run:
    """One run, in seconds and bytes."""

    ready: float
    picture: float
    step: float
    peak: int


def workflow(checkpoint: str, size: int, steps: int) -> dict[str, Any]:
    def encode(text: str) -> dict[str, Any]:
        return {"class_type": "CLIPTextEncode", "inputs": {"clip": ["1", 1], "text": text}}

    sampler = {
        "model": ["1", 0], "positive": ["2", 0], "negative": ["3", 0], "latent_image": ["4", 0], "seed": 7,
        "steps": steps, "cfg": 6.5, "sampler_name": "euler", "scheduler": "normal", "denoise": 1.0,
    }  # fmt: skip
    return {
        "1": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": checkpoint}},
        "2": encode("a photograph of a red fox in the snow"),
        "3": encode("blurry, low quality"),
        "4": {"class_type": "EmptyLatentImage", "inputs": {"width": size, "height": size, "batch_size": 1}},
        "5": {"class_type": "KSampler", "inputs": sampler},
        "6": {"class_type": "VAEDecode", "inputs": {"samples": ["5", 0], "vae": ["1", 2]}},
        "7": {"class_type": "SaveImage", "inputs": {"images": ["6", 0], "filename_prefix": f"bench_{size}"}},
    }


def run(home: Path, prompt: dict[str, Any], precision: str) -> Run:
    file = home / "workflow.json"
    file.write_text(json.dumps(prompt))
    command = [
        sys.executable,
        "-m",
        "comfykit",
        "run",
        file,
        "--home",
        home,
        "--json",
        "--precision",
        precision,
    ]
    begin = time.monotonic()
    seen: list[tuple[float, dict[str, Any]]] = []
    with subprocess.Popen(list(map(str, command)), stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            seen.append((time.monotonic() - begin, json.loads(line)))
        _, _, usage = os.wait4(process.pid, 0)
        process.returncode = 0

    def when(event: str) -> list[float]:
        return [at for at, record in seen if record["event"] == event]

    assert seen[-1][1]["status"] == "success", seen[-1]
    steps = when("progress")
    gaps = [later - earlier for earlier, later in itertools.pairwise(steps)]
    return Run(when("start")[0], when("output")[0], statistics.median(gaps), usage.ru_maxrss * 1024)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--precision", nargs="+", default=["fp32", "auto"])
    parser.add_argument("--sizes", nargs="+", type=int, default=[64, 256, 512])
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--repeat", type=int, default=3)
    options = parser.parse_args()
    print(f"{'precision':10}{'pixels':>8}{'ready s':>10}{'picture s':>11}{'step s':>9}{'peak GB':>9}")
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        models = home / "models" / "checkpoints"
        models.mkdir(parents=True)
        (models / options.checkpoint.name).symlink_to(options.checkpoint.resolve())
        for size in options.sizes:
            prompt = workflow(options.checkpoint.name, size, options.steps)
            runs: dict[str, list[Run]] = {precision: [] for precision in options.precision}
            for _ in range(options.repeat):
                for precision in options.precision:
                    runs[precision].append(run(home, prompt, precision))
            for precision, found in runs.items():
                ready, picture, step, peak = (
                    statistics.median(getattr(one, name) for one in found)
                    for name in ("ready", "picture", "step", "peak")
                )
                print(f"{precision:10}{size:8}{ready:10.2f}{picture:11.2f}{step:9.2f}{peak / 1e9:9.2f}")


if __name__ == "__main__":
    main()
