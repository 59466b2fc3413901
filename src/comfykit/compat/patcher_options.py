"""`model_options`: functions that a pack puts into a model, by the methods of a `ModelPatcher`."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from comfykit.compat.host.comfy import patcher_extension

Options = dict[str, Any]


def set_model_options_patch_replace(
    model_options: Options,
    patch: Callable[..., Any],
    name: str,
    block_name: str,
    number: int,
    transformer_index: int | None = None,
) -> Options:
    """The options with a function in the place of a block's attention; the given ones stay as they are."""
    place = (block_name, number) if transformer_index is None else (block_name, number, transformer_index)
    told = dict(model_options.get("transformer_options", {}))
    replaced = {which: dict(by_place) for which, by_place in told.get("patches_replace", {}).items()}
    replaced.setdefault(name, {})[place] = patch
    return {**model_options, "transformer_options": {**told, "patches_replace": replaced}}


def set_model_options_post_cfg_function(
    model_options: Options, post_cfg_function: Callable[..., Any], disable_cfg1_optimization: bool = False
) -> Options:
    """The options with one more function after guidance."""
    return _with_function(
        model_options, "sampler_post_cfg_function", post_cfg_function, disable_cfg1_optimization
    )


def set_model_options_pre_cfg_function(
    model_options: Options, pre_cfg_function: Callable[..., Any], disable_cfg1_optimization: bool = False
) -> Options:
    """The options with one more function before guidance."""
    return _with_function(
        model_options, "sampler_pre_cfg_function", pre_cfg_function, disable_cfg1_optimization
    )


def _with_function(options: Options, name: str, function: Callable[..., Any], both_sides: bool) -> Options:
    options[name] = [*options.get(name, []), function]
    if both_sides:
        options["disable_cfg1_optimization"] = True
    return options


def create_model_options_clone(orig_model_options: Options) -> Options:
    """A copy whose dicts and lists are its own."""
    return patcher_extension.copy_nested_dicts(orig_model_options)


class HasOptions:
    """The methods that change `model_options`."""

    model_options: Options

    def set_model_sampler_cfg_function(
        self, sampler_cfg_function: Callable[..., Any], disable_cfg1_optimization: bool = False
    ) -> None:
        """Guidance itself: of (cond, uncond, cond_scale), or of one dict, in terms of noise."""
        if len(inspect.signature(sampler_cfg_function).parameters) == 3:
            old = sampler_cfg_function

            def by_dict(args: dict[str, Any]) -> Any:
                return old(args["cond"], args["uncond"], args["cond_scale"])

            sampler_cfg_function = by_dict
        self.model_options["sampler_cfg_function"] = sampler_cfg_function
        if disable_cfg1_optimization:
            self.model_options["disable_cfg1_optimization"] = True

    def set_model_sampler_post_cfg_function(
        self, post_cfg_function: Callable[..., Any], disable_cfg1_optimization: bool = False
    ) -> None:
        """After guidance: of a dict, to the denoised latent."""
        self.model_options = set_model_options_post_cfg_function(
            self.model_options, post_cfg_function, disable_cfg1_optimization
        )

    def set_model_sampler_pre_cfg_function(
        self, pre_cfg_function: Callable[..., Any], disable_cfg1_optimization: bool = False
    ) -> None:
        """Before guidance: of a dict, to the predictions of the sides."""
        self.model_options = set_model_options_pre_cfg_function(
            self.model_options, pre_cfg_function, disable_cfg1_optimization
        )

    def set_model_sampler_calc_cond_batch_function(
        self, sampler_calc_cond_batch_function: Callable[..., Any]
    ) -> None:
        """In the place of `calc_cond_batch`."""
        self.model_options["sampler_calc_cond_batch_function"] = sampler_calc_cond_batch_function

    def set_model_unet_function_wrapper(self, unet_wrapper_function: Callable[..., Any]) -> None:
        """Around each call of the network: of (apply_model, inputs)."""
        self.model_options["model_function_wrapper"] = unet_wrapper_function

    def set_model_denoise_mask_function(self, denoise_mask_function: Callable[..., Any]) -> None:
        """Which mask counts at a level."""
        self.model_options["denoise_mask_function"] = denoise_mask_function

    def set_model_patch(self, patch: Callable[..., Any], name: str) -> None:
        """A function in the network, by the name of its place."""
        told = self.model_options["transformer_options"]
        told["patches"] = {**told.get("patches", {})}
        told["patches"][name] = [*told["patches"].get(name, []), patch]

    def set_model_patch_replace(
        self,
        patch: Callable[..., Any],
        name: str,
        block_name: str,
        number: int,
        transformer_index: int | None = None,
    ) -> None:
        """A function in the place of a block's attention."""
        self.model_options = set_model_options_patch_replace(
            self.model_options, patch, name, block_name, number, transformer_index
        )

    def set_model_attn1_patch(self, patch: Callable[..., Any]) -> None:
        """Changes what self-attention is computed from."""
        self.set_model_patch(patch, "attn1_patch")

    def set_model_attn2_patch(self, patch: Callable[..., Any]) -> None:
        """Changes what cross-attention is computed from."""
        self.set_model_patch(patch, "attn2_patch")

    def set_model_attn1_replace(
        self, patch: Callable[..., Any], block_name: str, number: int, transformer_index: int | None = None
    ) -> None:
        """In the place of self-attention."""
        self.set_model_patch_replace(patch, "attn1", block_name, number, transformer_index)

    def set_model_attn2_replace(
        self, patch: Callable[..., Any], block_name: str, number: int, transformer_index: int | None = None
    ) -> None:
        """In the place of cross-attention."""
        self.set_model_patch_replace(patch, "attn2", block_name, number, transformer_index)

    def set_model_attn1_output_patch(self, patch: Callable[..., Any]) -> None:
        """Changes what self-attention gives."""
        self.set_model_patch(patch, "attn1_output_patch")

    def set_model_attn2_output_patch(self, patch: Callable[..., Any]) -> None:
        """Changes what cross-attention gives."""
        self.set_model_patch(patch, "attn2_output_patch")

    def set_model_input_block_patch(self, patch: Callable[..., Any]) -> None:
        """Changes what input blocks give."""
        self.set_model_patch(patch, "input_block_patch")

    def set_model_input_block_patch_after_skip(self, patch: Callable[..., Any]) -> None:
        """Changes what input blocks hand down."""
        self.set_model_patch(patch, "input_block_patch_after_skip")

    def set_model_output_block_patch(self, patch: Callable[..., Any]) -> None:
        """Changes what output blocks join."""
        self.set_model_patch(patch, "output_block_patch")

    def set_model_emb_patch(self, patch: Callable[..., Any]) -> None:
        """Changes the embedding of the timestep."""
        self.set_model_patch(patch, "emb_patch")

    def set_model_forward_timestep_embed_patch(self, patch: Callable[..., Any]) -> None:
        """Changes how layers are called."""
        self.set_model_patch(patch, "forward_timestep_embed_patch")
