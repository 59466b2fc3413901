"""One sampling run of a model that packs changed: our predictions in ComfyUI's order of calls.

    Sides -> dispatch -> model_function_wrapper -> BaseModel.apply_model -> evaluate -> our predictor

`Sides` decides as always which conditionings share a call. A pack's functions stand where they would stand in
ComfyUI; what they leave alone is computed by the same code as for any model.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, cast

import torch
from torch import Tensor

from comfykit.compat.pack_hooks import hooked
from comfykit.families.components import DiffusionModel
from comfykit.families.conditioning import from_link
from comfykit.families.control import Control
from comfykit.families.family import Scene
from comfykit.memory import Residency
from comfykit.models.hooks import UNetHooks
from comfykit.sampling.conditioning import Cond
from comfykit.sampling.denoiser import Evaluation, Predict
from comfykit.sampling.guidance import Memory
from comfykit.sampling.sides import Sides

Options = dict[str, Any]

MOST_KEPT = 64
"""Conditionings and plans kept for the next step; packs that cut windows make new ones all the time."""

FURTHER = "further "
"""How the names of those sides begin among a guider's conditionings."""

_INPUTS = {"c_concat": "concat"}


@dataclass(frozen=True, slots=True, eq=False)
class PackControl:
    """A ControlNet that is a pack's own object."""

    given: Any


@dataclass(eq=False)
class PackRun:
    """What a run of one model needs; `base` is its `BaseModel`, `model` what it is in our terms."""

    base: Any
    model: DiffusionModel
    residency: Residency
    scene: Scene | None = None
    options: Options = field(default_factory=dict)
    call: Evaluation | None = None
    memory: Memory = field(default_factory=dict)
    further: tuple[Any, ...] = ()
    further_predictions: tuple[Tensor, ...] = ()
    _predict: Predict | None = None
    _conds: dict[int, tuple[Any, Any, Cond]] = field(default_factory=dict)
    _sides: dict[tuple[int, ...], tuple[Any, Sides]] = field(default_factory=dict)

    def predict(self, call: Evaluation) -> Tensor:
        """Our own prediction; places the network where that was not yet done."""
        if self._predict is None:
            self._predict = self.model.predictor(self.residency)
        return self._predict(call)

    def prepare(self, noise: Tensor, latent: Tensor | None, mask: Tensor | None, seed: int) -> None:
        """Say what is sampled; tensors are in the model's scale."""
        config, form = self.model.network.config, self.model.family.latent_format
        known = torch.zeros_like(noise) if latent is None else latent
        self.scene = Scene(known, noise, mask, config, form, seed)

    def scene_for(self, x: Tensor) -> Scene:
        """The scene of the run, or where nobody prepared one, one for x alone."""
        if self.scene is None:
            zeros = torch.zeros_like(x)
            form = self.model.family.latent_format
            return Scene(zeros, zeros, None, self.model.network.config, form)
        return self.scene

    def evaluate_sides(
        self,
        sides: Sequence[Sequence[Mapping[str, Any]] | None],
        x: Tensor,
        sigma: Tensor,
        options: Options,
        change: Callable[[Any], Any] | None = None,
    ) -> list[Tensor]:
        """Predictions of x0 for sides of conditionings; zeros for a side that is None."""
        conds = [[self.cond(one, number, x) for one in side or ()] for number, side in enumerate(sides)]
        key = tuple(id(one) for side in conds for one in (*side, None))
        if key not in self._sides:
            if len(self._sides) >= MOST_KEPT:
                self._sides.clear()
            self._sides[key] = conds, Sides(self.dispatch, conds)
        before, self.options = self.options, options
        with self.base.running(self):
            try:
                return self._sides[key][1](x, sigma, change=change)
            finally:
                self.options = before

    def cond(self, given: Mapping[str, Any], side: int, x: Tensor) -> Cond:
        """A conditioning, as packs have it, in our terms; made anew when something in it was replaced."""
        signature = (side, *((name, id(value)) for name, value in given.items()))
        known = self._conds.get(id(given))
        if known is not None and known[0] == signature:
            return known[2]
        if len(self._conds) >= MOST_KEPT:
            self._conds.clear()
        made = self._made(given, side, x)
        self._conds[id(given)] = signature, dict(given), made
        return made

    def _made(self, given: Mapping[str, Any], side: int, x: Tensor) -> Cond:
        from comfykit.compat.host.comfy.controlnet import split_controls

        inputs: Mapping[str, Any] = given.get("model_conds") or {}
        crossed = inputs.get("c_crossattn")
        embedding = given.get("cross_attn") if crossed is None else crossed.cond
        ours, theirs = split_controls(given)
        options = {**given, "controls": ours}
        cond = from_link([[embedding, options]], self.model, side, self.scene_for(x))[0]
        own = {
            _INPUTS.get(name, name): one.cond
            for name, one in inputs.items()
            if name != "c_crossattn" and isinstance(getattr(one, "cond", None), Tensor)
        }
        start, end = given.get("timestep_start"), given.get("timestep_end")
        return replace(
            cond,
            model_inputs=own if inputs else cond.model_inputs,
            controls=(*cond.controls, *(PackControl(control) for control in theirs)),
            start_sigma=cond.start_sigma if start is None else float(start),
            end_sigma=cond.end_sigma if end is None else float(end),
        )

    def dispatch(self, call: Evaluation) -> Tensor:
        """One call for conditionings side by side, through the functions in the options."""
        told = {**self.options.get("transformer_options", {})}
        told |= {
            "cond_or_uncond": list(call.sides),
            "sigmas": call.sigma,
            "original_shape": list(call.x.shape),
            "uuids": list(call.sides),
        }
        inputs: Options = {"c_crossattn": call.context, "transformer_options": told}
        inputs |= {("c_concat" if name == "concat" else name): value for name, value in call.extra.items()}
        ours = tuple(one for one in call.controls if isinstance(one, Control))
        for one in call.controls:
            if isinstance(one, PackControl):
                inputs["control"] = one.given.get_control(call.x, call.sigma, inputs, len(call.sides), told)
        before, self.call = self.call, replace(call, controls=ours)
        try:
            wrapper = self.options.get("model_function_wrapper")
            if wrapper is None:
                return cast(Tensor, self.base.apply_model(call.x, call.sigma, **inputs))
            given = {
                "input": call.x,
                "timestep": call.sigma,
                "c": inputs,
                "cond_or_uncond": told["cond_or_uncond"],
            }
            return cast(Tensor, wrapper(self.base.apply_model, given))
        finally:
            self.call = before

    def take_further(self, conds: Mapping[str, Any]) -> None:
        """The sides after the negative one, which our nodes gave the model."""
        self.further = tuple(conds[name] for name in sorted(conds) if name.startswith(FURTHER))

    def evaluate(
        self,
        x: Tensor,
        t: Tensor,
        context: Tensor,
        extra: Mapping[str, Tensor],
        control: Any,
        transformer_options: Options,
    ) -> Tensor:
        """What the network makes of inputs that packs may have changed."""
        call = self.call
        sides = tuple(transformer_options.get("cond_or_uncond") or (call.sides if call else (0,)))
        if x.shape[0] % len(sides):
            sides = (0,)
        sigma = t.float().expand(x.shape[0]) if t.ndim == 0 or len(t) == 1 else t.float()
        before = call.change if call else None

        def change(hooks: UNetHooks) -> UNetHooks:
            hooks = hooks if before is None else before(hooks)
            residuals = control if isinstance(control, Mapping) else None
            return hooked(hooks, transformer_options, self.model.network, residuals)

        made = Evaluation(
            x=x, sigma=sigma.to(x.device), context=context, extra=extra, sides=sides, change=change
        )
        if call is not None:
            made = replace(
                made, controls=call.controls, weight_hooks=call.weight_hooks, grounding=call.grounding
            )
        return self.predict(made)


def per_row(sigma: Tensor, x: Tensor) -> Tensor:
    """A level for each row of x."""
    level = torch.as_tensor(sigma, dtype=torch.float32, device=x.device).flatten()
    return level if len(level) == len(x) else level[:1].expand(len(x))
