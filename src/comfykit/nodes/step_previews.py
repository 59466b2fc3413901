"""Previews: what a sampler has so far, told to whoever watches."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch
from PIL import Image

from comfykit.errors import ModelFileError
from comfykit.events import NodePreview
from comfykit.families.components import DiffusionModel
from comfykit.families.preview import Previewer, find_previewer
from comfykit.nodes.context import NodeContext
from comfykit.nodes.pictures import to_picture
from comfykit.sampling.denoiser import StepInfo

INTERVAL = 0.25  # seconds between two previews, at least
REST = 4  # times as long as a preview took, there is none


class StepPreviews:
    """Called after each step of a sampler, reports a `NodePreview` now and then.

    It shows the first picture of a batch. Does nothing where settings ask for no previews.
    """

    def __init__(
        self, context: NodeContext, model: DiffusionModel, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._context = context
        self._clock = clock
        self._due = clock()
        self._previewer = _previewer(context, model)

    def __call__(self, info: StepInfo) -> None:
        """Report a preview of the step, if it is time for one."""
        previewer = self._previewer
        begin = self._clock()
        if previewer is None or begin < self._due or info.denoised.ndim != 4:
            return

        def picture(side: int) -> Image.Image:
            return to_picture(previewer(info.denoised[0], side))

        try:
            self._context.reporter(NodePreview(self._context.node, picture))
        except (torch.OutOfMemoryError, MemoryError):
            self._previewer = None  # the picture itself may still fit
            self._context.warn("there is not enough memory for previews", hint="the run goes on without")
        end = self._clock()
        self._due = end + max(INTERVAL, REST * (end - begin))


def _previewer(context: NodeContext, model: DiffusionModel) -> Previewer | None:
    """What settings ask for, or the next best; says so where there is nothing."""
    settings, form = context.settings, model.family.latent_format
    method = settings.preview_method
    if method == "none":
        return None
    try:
        found = find_previewer(form, settings.home, method)
    except ModelFileError as error:
        context.warn(f"no tiny decoder for previews: {error}", error.hint)
        found = find_previewer(form, settings.home, "latent2rgb")
    if found is None:
        decoder = form.look.decoder
        wanted = f"put {decoder} into models/vae_approx" if decoder else "leave --preview-method out"
        context.warn(f"there are no previews of this model by the method {method!r}", hint=wanted)
    return found
