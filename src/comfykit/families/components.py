"""MODEL, CLIP and VAE: what a loader gives and other nodes take.

Each joins a network, whose weights stay mapped from their file until they are used, with what its
family says. They are values: a changed one is a copy that shares the network.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn

from comfykit.families.control import ControlRun
from comfykit.families.family import Family
from comfykit.families.gligen import GroundingRun
from comfykit.families.hook_run import HookRun, TextHooks
from comfykit.families.tiled_vae import Tiling
from comfykit.memory import Residency
from comfykit.models.hooks import NO_HOOKS, CallInfo, UNetHooks
from comfykit.models.pixel_space import PixelSpace
from comfykit.models.taesd import TAESD
from comfykit.models.unet import UNet
from comfykit.models.vae import AutoencoderKL
from comfykit.sampling.denoiser import Evaluation, Predict, PredictWrapper
from comfykit.sampling.guidance import PLAIN, GuidanceRules
from comfykit.sampling.inpaint import MaskRule
from comfykit.sampling.noise_levels import NoiseLevels
from comfykit.sampling.parametrization import Parametrization
from comfykit.text.clip import EncodedPrompt
from comfykit.text.encoders import Embeddings, PromptEncoder, Prompts, without_embeddings
from comfykit.weights.patch import NO_PATCHES, Patches

Host: TypeAlias = Callable[..., Any]
"""Samples in the engine's place: what `guiders.sample` is called with -> `guiders.Sampled`."""


@dataclass(frozen=True, slots=True, eq=False)
class DiffusionModel:
    """MODEL: predicts clean latents.

    What nodes change about a model are these fields, in a copy (`dataclasses.replace`) that shares the
    network: noise levels and parametrization, rules of guidance, the rule of inpainting masks, patches of
    the weights, hooks into the network and wrappers around it, the last one outermost.

    `further` are conditionings, as on links, whose predictions the rules of guidance want beside those of
    the positive and the negative side. `compiled` is called in the network's place where no hooks are in
    use. `dtype` is the type to compute in, None for that of the settings. With `host`, as models have that
    foreign code changed, it and not `guiders.sample` samples.
    """

    network: UNet
    family: Family
    levels: NoiseLevels
    parametrization: Parametrization
    rules: GuidanceRules = PLAIN
    mask_rule: MaskRule | None = None
    patches: Patches = NO_PATCHES
    hooks: UNetHooks = NO_HOOKS
    wrappers: tuple[PredictWrapper, ...] = ()
    further: tuple[Any, ...] = ()
    compiled: Callable[..., Tensor] | None = None
    dtype: torch.dtype | None = None
    host: Host | None = None

    def predictor(self, residency: Residency) -> Predict:
        """The network on its device, as sampling sees it: x in the model's scale to a prediction of x0."""
        dtype = residency.dtype("unet") if self.dtype is None else self.dtype
        residency.place(self.network, residency.device, dtype, patches=self.patches)
        network, levels, parametrization = self.network, self.levels, self.parametrization
        unhooked = network if self.compiled is None else self.compiled
        controls = ControlRun(network, levels, residency, dtype)
        weights = HookRun(network, self.patches, dtype, levels, residency)
        groundings = GroundingRun(network, residency, dtype)

        def predict(call: Evaluation) -> Tensor:
            weights.place(call, keep=controls.networks)
            given = parametrization.scale_input(call.sigma, call.x)
            timesteps = levels.timestep(call.sigma)
            control = controls(call, given, timesteps)
            if "concat" in call.extra:
                given = torch.cat((given, call.extra["concat"].to(given)), dim=1)
            hooks = self.hooks if call.change is None else call.change(self.hooks)
            hooks = groundings.hooks(call, hooks)
            inputs = (given, timesteps, call.context, call.extra.get("y"), control)
            if hooks is NO_HOOKS:
                output = unhooked(*inputs)
            else:
                # Never compiled: PyTorch's compiler would not notice that hooks are others than it saw first.
                told = _told(call, hooks)
                run: Callable[..., Tensor] = partial(network, hooks=hooks, call=told)
                for around in hooks.around:
                    run = partial(around, run, told)
                output = run(*inputs)
            return parametrization.denoised(call.sigma, output, call.x)

        for wrapper in self.wrappers:
            predict = partial(wrapper, predict)
        return predict


def _told(call: Evaluation, hooks: UNetHooks) -> CallInfo:
    """What hooks are told about a call."""
    height, width = call.x.shape[-2:]
    return CallInfo(call.sigma, call.sides, (height, width), hooks.data)


@dataclass(frozen=True, slots=True, eq=False)
class TextEncoder:
    """CLIP: turns prompts into what a diffusion model is conditioned on.

    `layer` counts from the end, -1 is the last; None is the layer that the family takes. `patches` name
    parameters with their network's name before them: "clip_l.encoder.layers.0.mlp.fc1.weight". `device` is
    where to compute, None for where the settings say. `hooks` are patches that come and go with the schedule.
    """

    encoder: PromptEncoder
    layer: int | None = None
    patches: Patches = NO_PATCHES
    device: torch.device | None = None
    hooks: TextHooks | None = None

    @property
    def networks(self) -> Mapping[str, nn.Module]:
        """The networks by the names that ComfyUI gives them: clip_l, clip_g, clip_h."""
        return self.encoder.networks

    def with_layer(self, layer: int) -> TextEncoder:
        """The same encoder, read at another layer ("clip skip")."""
        return replace(self, layer=layer)

    def encode(
        self,
        prompts: Prompts,
        residency: Residency,
        embeddings: Embeddings = without_embeddings,
        percent: float | None = None,
    ) -> EncodedPrompt:
        """Embed a prompt, or one for each encoder; weights and `embedding:name` as in `comfykit.text`.

        Hooks have their strengths at `percent` (0 to 1) of the schedule; their own where it is None.
        """
        self.place(residency, percent)
        return self.encoder.encode(prompts, embeddings, self.layer)

    def place(self, residency: Residency, percent: float | None = None) -> None:
        """Make the networks ready to compute, with patches and hooks."""
        device, patches = self.device or residency.device, self.patches
        if self.hooks is not None:
            patches = self.hooks.patches(self.networks, patches, residency, percent)
        for name, network in self.networks.items():
            # Kept in the type of its weights: it computes in float32 whatever that is.
            dtype = next(network.parameters()).dtype
            residency.place(network, device, dtype, patches=patches.below(f"{name}."))


LatentNetwork: TypeAlias = AutoencoderKL | TAESD | PixelSpace
"""What an Autoencoder may be made of."""


@dataclass(frozen=True, slots=True, eq=False)
class Autoencoder:
    """VAE: pictures [batch, height, width, 3] in 0 to 1 to latents [batch, channels, h, w] and back.

    Latents are in the VAE's own scale. Both ways one picture is computed at a time, and the result is float32
    on the CPU. With `tiling`, in pixels for pictures and in cells for latents, a picture is cut into tiles,
    and `done` called after each.
    """

    network: LatentNetwork

    @property
    def cell(self) -> int:
        """The side of the square of pixels that one place of a latent stands for."""
        return self.network.downscale

    def encode(
        self,
        pixels: Tensor,
        residency: Residency,
        tiling: Tiling | None = None,
        done: Callable[[], None] = lambda: None,
    ) -> Tensor:
        """Latents of pictures.

        Sides that are no multiple of a cell lose their margins; channels after the third are left out.
        """
        residency.place_part(self.network, "vae")
        network, device = self.network, residency.device

        def to_latent(picture: Tensor) -> Tensor:
            return network.to_latent((picture * 2.0 - 1.0).to(device)).float().cpu()

        pictures = torch.split(cropped(pixels, self.cell)[..., :3].movedim(-1, 1), 1)
        if tiling is None:
            return torch.cat([to_latent(picture) for picture in pictures])
        return torch.cat([tiling.apply(picture, to_latent, 1 / self.cell, done) for picture in pictures])

    def decode(
        self,
        latent: Tensor,
        residency: Residency,
        tiling: Tiling | None = None,
        done: Callable[[], None] = lambda: None,
    ) -> Tensor:
        """Pictures of latents."""
        residency.place_part(self.network, "vae")
        network, device = self.network, residency.device

        def to_pixels(cells: Tensor) -> Tensor:
            return network.decode(cells.to(device, torch.float32)).float().cpu()

        rows = torch.split(latent, 1)
        if tiling is None:
            found = torch.cat([to_pixels(row) for row in rows])
        else:
            found = torch.cat([tiling.apply(row, to_pixels, self.cell, done) for row in rows])
        return ((found + 1.0) / 2.0).clamp(0.0, 1.0).movedim(1, -1)


def cropped(pixels: Tensor, cell: int) -> Tensor:
    """The middle of pictures [batch, height, width, ...] whose sides are multiples of a cell."""
    height, width = (side // cell * cell for side in pixels.shape[1:3])
    top, left = ((side % cell) // 2 for side in pixels.shape[1:3])
    return pixels[:, top : top + height, left : left + width]
