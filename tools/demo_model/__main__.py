"""Makes all files of the demo model from a seed: `python tools/demo_model --work FOLDER`.

May be interrupted at any time; the same command goes on. Without `--out` it writes where the package has
its models.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor

from controlnet import train_edges
from diffusion import Scenes, train_diffusion
from export import load_checkpoint, save, save_checkpoint
from inversion import train_night
from low_rank import train_outlines
from preview import latent_to_rgb, train_preview
from upscaler import train_upscaler
from vae import reconstruction_error, refine_decoder, train_autoencoder

T = TypeVar("T")

MODELS = Path(__file__).parents[2] / "src" / "comfykit" / "assets" / "models"
PREVIEW = "demo_taesd_decoder.safetensors"
MODEL, COMPANIONS = "model", "companions"
COMPANION_FILES = {  # by the folder that they lie in, in the order in which they are made
    "loras": "demo_outlined.safetensors",
    "embeddings": "demo_night.safetensors",
    "controlnet": "demo_edges.safetensors",
    "vae_approx": PREVIEW,
    "upscale_models": "demo_x2.safetensors",
}


def main() -> None:
    arguments = _arguments()
    work, out, seed, device = arguments.work, arguments.out, arguments.seed, torch.device(arguments.device)
    if arguments.threads:
        torch.set_num_threads(arguments.threads)

    checkpoint = out / "checkpoints" / "demo.safetensors"
    if arguments.only in (None, MODEL):
        _make_model(checkpoint, work, seed, device, compiled=arguments.compile)
    if arguments.only != MODEL:
        kinds = [arguments.only] if arguments.only in COMPANION_FILES else list(COMPANION_FILES)
        _make_companions(kinds, checkpoint, out, work, seed, device)


def _make_model(checkpoint: Path, work: Path, seed: int, device: torch.device, *, compiled: bool) -> None:
    vae = _timed("vae", lambda: train_autoencoder(work, seed, device))
    network, words = _timed("diffusion", lambda: train_diffusion(vae, work, seed, device, compiled=compiled))
    _timed("decoder", lambda: refine_decoder(vae, work, seed, device, compiled=compiled))
    print(f"autoencoder: {reconstruction_error(vae, device, seed):.1f} dB on scenes that it has not seen")
    colours = latent_to_rgb(vae, seed, device)
    links = {"comfykit.preview": PREVIEW, "comfykit.latent_rgb": colours}
    save_checkpoint(checkpoint, vae, network, words, seed, **links)


def _make_companions(
    kinds: Sequence[str], checkpoint: Path, out: Path, work: Path, seed: int, device: torch.device
) -> None:
    """Train on the model as it ships, rounded to half precision."""
    vae, network, words = load_checkpoint(checkpoint, device)
    scenes = Scenes(vae, seed, device)
    with_model = (network, words, scenes, work, seed, device)
    make: dict[str, Callable[[], dict[str, Tensor]]] = {
        "loras": lambda: train_outlines(*with_model),
        "embeddings": lambda: train_night(*with_model),
        "controlnet": lambda: train_edges(*with_model),
        "vae_approx": lambda: train_preview(vae, work, seed, device),
        "upscale_models": lambda: train_upscaler(vae, work, seed, device),
    }
    for kind in kinds:
        name = Path(COMPANION_FILES[kind])
        tensors = _timed(name.stem, make[kind])
        save(out / kind / name, tensors, title=f"comfykit {name.stem.replace('_', ' ')}", seed=seed)


def _timed(what: str, make: Callable[[], T]) -> T:
    began = time.monotonic()
    made = make()
    print(f"{what}: {(time.monotonic() - began) / 60:.1f} minutes", flush=True)
    return made


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="tools/demo_model", description=__doc__)
    parser.add_argument(
        "--only",
        choices=(MODEL, COMPANIONS, *COMPANION_FILES),
        help="the model, all its companions or one kind of them; everything, if not given",
    )
    parser.add_argument("--work", type=Path, required=True, help="where training keeps its state")
    parser.add_argument("--out", type=Path, default=MODELS, help="where the finished files go")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--threads", type=int, default=0, help="of the CPU; as many as it has, if not given")
    parser.add_argument(
        "--compile",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="use torch.compile for the longest parts, which needs a C++ compiler",
    )
    return parser.parse_args()


if __name__ == "__main__":
    main()
