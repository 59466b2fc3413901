"""Previews in a whole run: they show what is being made, and change nothing of it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from comfykit.events import Event, NodePreview, NodeProgress, Warned
from comfykit.families.looks import DECODER_KEY
from comfykit.models.taesd import tiny_decoder
from comfykit.nodes import step_previews
from comfykit.services.run import Runner
from comfykit.settings import resolve
from comfykit.weights.read import open_weights
from comfykit.workflow.override import override
from comfykit.workflow.read import Workflow
from random_weights import CHECKPOINT, random_workflow


class Watcher:
    """A reporter that asks for every preview, or for none."""

    def __init__(self, *, asks: bool = True) -> None:
        self.asks = asks
        self.offered = 0
        self.pictures: list[Image.Image] = []
        self.steps = 0
        self.warnings: list[str] = []

    def __call__(self, event: Event) -> None:
        if isinstance(event, NodePreview):
            self.offered += 1
            if self.asks:
                self.pictures.append(event.picture(64))
        elif isinstance(event, NodeProgress):
            self.steps += 1
        elif isinstance(event, Warned):
            self.warnings.append(event.message)


def run(home: Path, output: Path, method: str, watcher: Watcher, workflow: Workflow | None = None) -> bytes:
    settings = resolve(
        {"home": home, "output_dir": output, "device": "cpu", "precision": "fp32", "preview_method": method},
        environment={},
    )
    result = Runner(settings, watcher).run(workflow or random_workflow())
    assert result.error is None
    (path,) = output.iterdir()
    with Image.open(path) as picture:
        return picture.tobytes()


@pytest.fixture
def _every_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(step_previews, "INTERVAL", 0.0)
    monkeypatch.setattr(step_previews, "REST", 0)


@pytest.mark.usefixtures("_every_step")
def test_previews_show_each_step_and_leave_the_picture_as_it_is(random_home: Path, tmp_path: Path) -> None:
    watcher, alone = Watcher(), Watcher()
    watched = run(random_home, tmp_path / "watched", "latent2rgb", watcher)
    assert run(random_home, tmp_path / "alone", "none", alone) == watched
    assert (alone.offered, alone.steps) == (0, watcher.steps)
    assert len(watcher.pictures) == watcher.steps == 12
    assert {picture.size for picture in watcher.pictures} == {(16, 16)}
    assert len({picture.tobytes() for picture in watcher.pictures}) == 12
    assert watcher.warnings == []


@pytest.mark.usefixtures("_every_step")
def test_a_checkpoint_with_a_decoder_of_its_own(random_home: Path, tmp_path: Path) -> None:
    models = tmp_path / "home" / "models"
    checkpoint, decoder = (
        models / "checkpoints" / "own.safetensors",
        models / "vae_approx" / "own.safetensors",
    )
    for path in (checkpoint, decoder):
        path.parent.mkdir(parents=True)
    tensors = open_weights(random_home / "models" / "checkpoints" / CHECKPOINT).tensors
    save_file(tensors, checkpoint, {DECODER_KEY: "own.safetensors"})
    network = tiny_decoder(8, 4)
    save_file({name: torch.full_like(tensor, 0.1) for name, tensor in network.state_dict().items()}, decoder)
    workflow = override(random_workflow(), ["CheckpointLoaderSimple.ckpt_name=own.safetensors"])
    watcher = Watcher()
    run(tmp_path / "home", tmp_path / "out", "auto", watcher, workflow)
    assert {picture.size for picture in watcher.pictures} == {(64, 64)}, (
        "half of 128, for it was asked for 64"
    )
    assert len(watcher.pictures) == watcher.steps
    assert watcher.warnings == []


@pytest.mark.usefixtures("_every_step")
def test_nothing_is_made_for_who_does_not_ask(
    random_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def made(latent: torch.Tensor, side: int) -> torch.Tensor:
        raise AssertionError("a picture was made")

    monkeypatch.setattr(step_previews, "find_previewer", lambda form, home, method: made)
    watcher = Watcher(asks=False)
    run(random_home, tmp_path, "auto", watcher)
    assert watcher.offered == 12


def test_a_preview_method_that_there_is_not_is_told_once(random_home: Path, tmp_path: Path) -> None:
    watcher = Watcher()
    run(random_home, tmp_path, "taesd", watcher)
    assert watcher.offered == 0
    assert watcher.warnings == ["there are no previews of this model by the method 'taesd'"]
