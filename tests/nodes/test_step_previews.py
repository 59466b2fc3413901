from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from nodes_support import Run
from PIL import Image

from comfykit.events import Event, NodePreview, Warned
from comfykit.families.components import DiffusionModel
from comfykit.families.looks import UNKNOWN
from comfykit.families.sd15 import SD15
from comfykit.nodes.step_previews import INTERVAL, REST, StepPreviews
from comfykit.sampling.denoiser import StepInfo


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Watched:
    """Previews of a model of one kind, and what they report."""

    def __init__(
        self, run: Run, method: str, family: Any = SD15, cost: float = 0.0, fails: bool = False
    ) -> None:
        self.clock = Clock()
        self.events: list[Event] = []
        self.pictures: list[Image.Image] = []
        self._cost, self._fails = cost, fails
        settings = replace(run.context.settings, preview_method=method)
        context = replace(run.context, settings=settings, reporter=self._take)
        model = DiffusionModel(cast(Any, object()), family, SD15.levels(), SD15.parametrization)
        self._previews = StepPreviews(context, model, self.clock)

    def _take(self, event: Event) -> None:
        self.events.append(event)
        self.clock.now += self._cost
        if isinstance(event, NodePreview):
            if self._fails:
                raise torch.OutOfMemoryError
            self.pictures.append(event.picture(64))

    def step(self, denoised: torch.Tensor) -> int:
        """Report a step; how many pictures there are by now."""
        self._previews(StepInfo(0, 20, 1.0, denoised, denoised))
        return len(self.pictures)


def zeros(*shape: int) -> torch.Tensor:
    return torch.zeros(shape or (2, 4, 6, 8))


def test_nobody_asks_and_nothing_is_told(run: Run) -> None:
    watched = Watched(run, "none")
    assert watched.step(zeros()) == 0
    assert watched.events == []


def test_the_first_picture_of_a_batch_is_shown(run: Run) -> None:
    watched = Watched(run, "latent2rgb")
    latents = zeros()
    latents[1] = 9.0
    assert watched.step(latents) == 1
    assert watched.pictures[0].size == (8, 6)
    assert watched.pictures[0].getcolors() == [(48, (127, 127, 127))]
    (event,) = watched.events
    assert isinstance(event, NodePreview)
    assert event.node == run.context.node


def test_no_more_than_a_few_in_a_second(run: Run) -> None:
    watched = Watched(run, "auto")
    shown = []
    for _ in range(80):
        shown.append(watched.step(zeros()))
        watched.clock.now += 0.0625
    assert shown[-1] == 20  # 80 steps are 5 seconds
    assert INTERVAL == 0.25


def test_slow_previews_come_seldom(run: Run) -> None:
    watched = Watched(run, "auto", cost=2.0)
    assert watched.step(zeros()) == 1
    watched.clock.now += REST * 2.0 - 0.1
    assert watched.step(zeros()) == 1
    watched.clock.now += 0.2
    assert watched.step(zeros()) == 2


def test_memory_that_runs_out_ends_previews_and_not_the_run(run: Run) -> None:
    watched = Watched(run, "auto", fails=True)
    watched.step(zeros())
    watched.clock.now += 60
    watched.step(zeros())
    assert [type(event) for event in watched.events] == [NodePreview, Warned]


@pytest.mark.parametrize("method", ["auto", "taesd", "latent2rgb"])
def test_a_model_whose_latents_nothing_shows(run: Run, method: str) -> None:
    family = replace(SD15, latent_format=replace(SD15.latent_format, look=UNKNOWN))
    watched = Watched(run, method, family)
    assert watched.step(zeros()) == 0
    (warned,) = watched.events
    assert isinstance(warned, Warned)
    assert method in warned.message


def test_a_broken_decoder_is_told_and_done_without(run: Run) -> None:
    folder: Path = run.context.settings.home.models / "vae_approx"
    folder.mkdir(parents=True)
    (folder / "taesd_decoder.safetensors").write_bytes(b"no weights")
    watched = Watched(run, "auto")
    assert watched.step(zeros()) == 1
    warned = watched.events[0]
    assert isinstance(warned, Warned)
    assert "taesd_decoder" in warned.message
