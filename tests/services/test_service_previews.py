"""Previews in a whole run: they show what is being made, and change nothing of it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from PIL import Image

from comfykit.events import Event, NodePreview, NodeProgress, Warned
from comfykit.nodes import step_previews
from comfykit.services.run import Runner
from comfykit.settings import resolve
from random_weights import random_workflow


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


def run(home: Path, output: Path, method: str, watcher: Watcher) -> bytes:
    settings = resolve(
        {"home": home, "output_dir": output, "device": "cpu", "precision": "fp32", "preview_method": method},
        environment={},
    )
    result = Runner(settings, watcher).run(random_workflow())
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
