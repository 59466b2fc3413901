from __future__ import annotations

import importlib

import torch

from comfykit.compat import modules

# Names that most packs of those which were read use, by module.
USED = {
    "comfy.samplers": "KSampler KSAMPLER CFGGuider Sampler sampler_object ksampler calculate_sigmas "
    "calc_cond_batch sampling_function cfg_function process_conds SCHEDULER_NAMES SAMPLER_NAMES "
    "k_diffusion_sampling",
    "comfy.sample": "sample sample_custom prepare_noise fix_empty_latent_channels",
    "comfy.sampler_helpers": "convert_cond get_additional_models cleanup_additional_models prepare_mask",
    "comfy.sd": "VAE CLIP CLIPType load_checkpoint_guess_config load_lora_for_models load_clip "
    "load_diffusion_model",
    "comfy.model_patcher": "ModelPatcher set_model_options_patch_replace",
    "comfy.model_base": "BaseModel SDXL SDXLRefiner ModelType Flux",
    "comfy.k_diffusion.sampling": "to_d default_noise_sampler BrownianTreeNoiseSampler get_ancestral_step "
    "sample_euler sample_dpmpp_2m_sde sample_dpm_adaptive get_sigmas_karras",
    "comfy.ldm.modules.attention": "optimized_attention optimized_attention_masked attention_pytorch",
    "comfy.patcher_extension": "WrappersMP WrapperExecutor CallbacksMP",
    "comfy.ops": "manual_cast disable_weight_init",
    "comfy_extras.nodes_mask": "LatentCompositeMasked MaskComposite composite",
    "comfy_extras.nodes_upscale_model": "ImageUpscaleWithModel UpscaleModelLoader",
    "comfy_extras.nodes_custom_sampler": "SamplerCustomAdvanced Noise_RandomNoise Guider_Basic",
}


def test_every_host_module_imports() -> None:
    files = sorted(modules.HOST.rglob("*.py"))
    names = [".".join(file.relative_to(modules.HOST).with_suffix("").parts) for file in files]
    for name in names:
        importlib.import_module(name.removesuffix(".__init__"))
    assert len(names) > 150


def test_modules_have_what_packs_use() -> None:
    for module, names in USED.items():
        found = importlib.import_module(module)
        for name in names.split():
            assert getattr(found, name) is not None


def test_layers_cast_to_their_input() -> None:
    from comfy.ops import disable_weight_init, manual_cast

    layer = manual_cast.Linear(2, 2, dtype=torch.float16)
    layer.weight.data[:], layer.bias.data[:] = 1.0, 0.5
    assert torch.equal(layer(torch.ones(1, 2)), torch.full((1, 2), 2.5))
    assert not disable_weight_init.Linear.comfy_cast_weights
    assert isinstance(layer, disable_weight_init.Linear)


def test_attention_is_the_same_in_both_layouts() -> None:
    from comfy.ldm.modules.attention import optimized_attention

    q = torch.randn(1, 3, 8, generator=torch.Generator().manual_seed(1))
    heads = q.reshape(1, 3, 2, 4).transpose(1, 2)
    flat = optimized_attention(q, q, q, 2)
    assert torch.equal(optimized_attention(heads, heads, heads, 2, skip_reshape=True), flat)
    masked = optimized_attention(q, q, q, 2, mask=torch.tensor([[0.0, -torch.inf, -torch.inf]] * 3))
    assert torch.allclose(masked, q[:, :1].expand(1, 3, 8))


def test_packs_of_each_version_of_the_new_interface_get_the_same() -> None:
    latest = importlib.import_module("comfy_api.latest")
    for name in ("comfy_api.v0_0_1", "comfy_api.v0_0_2"):
        old = importlib.import_module(name)
        assert (old.ComfyAPI, old.io, old.ui) == (latest.ComfyAPI, latest.io, latest.ui)
        assert not hasattr(old, "nothing")
