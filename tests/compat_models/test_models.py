"""MODEL, CLIP, VAE and CONTROL_NET in ComfyUI's shapes."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from comfykit.compat import border, modules
from comfykit.errors import UsageError


def test_a_model_is_a_model_patcher_and_comes_back_as_itself(bench: Any) -> None:
    from comfy.model_base import SDXL, BaseModel
    from comfy.model_patcher import ModelPatcher

    assert isinstance(bench.model, ModelPatcher)
    assert isinstance(bench.model.model, BaseModel)
    assert not isinstance(bench.model.model, SDXL)
    back = border.to_engine(bench.model)
    assert back.network is bench.checkpoint.model.network
    assert back.host is None, "nothing was changed"
    assert border.to_pack(back).model is bench.model.model


def test_what_packs_look_up_in_a_model(bench: Any) -> None:
    import comfy.latent_formats

    base = bench.model.model
    assert isinstance(base.latent_format, comfy.latent_formats.SD15)
    assert base.latent_format.scale_factor == 0.18215
    assert float(base.model_sampling.sigma_max) == pytest.approx(14.6146, abs=1e-3)
    assert base.model_sampling.percent_to_sigma(0.0) == 1e9
    assert base.model_sampling.timestep(base.model_sampling.sigma_min) == 0
    assert bench.model.get_model_object("latent_format") is base.latent_format
    assert base.model_config.unet_config["context_dim"] == base.diffusion_model.config.context_dim
    assert bench.model.model_dtype() == torch.float32
    assert bench.model.load_device.type == "cpu"
    assert "diffusion_model.out.2.weight" in bench.model.model_state_dict()
    x = torch.ones(1, 4, 2, 2)
    assert torch.equal(base.process_latent_out(base.process_latent_in(x)), x)


def test_networks_are_told_by_comfyuis_classes(bench: Any) -> None:
    from comfy.ldm.modules.attention import CrossAttention, SpatialTransformer, SpatialVideoTransformer
    from comfy.ldm.modules.diffusionmodules.openaimodel import ResBlock, TimestepEmbedSequential, UNetModel

    network = bench.model.model.diffusion_model
    assert isinstance(network, UNetModel)
    block = network.input_blocks[1]
    assert isinstance(block, TimestepEmbedSequential)
    assert isinstance(block[0], ResBlock)
    assert isinstance(block[1], SpatialTransformer)
    assert not isinstance(block[1], SpatialVideoTransformer)
    assert isinstance(block[1].transformer_blocks[0].attn1, CrossAttention)


def test_clones_keep_their_changes_apart(bench: Any) -> None:
    one, other = bench.model.clone(), bench.model.clone()
    one.model_options["mine"] = 1
    one.set_model_patch(lambda *args: args, "attn1_patch")
    one.add_object_patch("model_sampling", object())
    assert one.is_clone(other)
    assert "mine" not in other.model_options
    assert other.model_options == {"transformer_options": {}}
    assert not other.object_patches


def test_another_model_sampling_is_ours_too(bench: Any) -> None:
    import comfy.model_sampling as ms

    class Velocity(ms.ModelSamplingDiscrete, ms.V_PREDICTION):  # type: ignore[name-defined,misc,unused-ignore]
        pass

    model = bench.model.clone()
    model.add_object_patch("model_sampling", Velocity(model.model.model_config, zsnr=True))
    ours = border.to_engine(model)
    assert ours.host is None
    assert ours.levels.sigma_max > 4000
    assert bench.engine(ours).isfinite().all()
    assert not torch.equal(bench.engine(ours), bench.engine())
    assert torch.equal(bench.pack(model), bench.engine(ours))
    assert float(model.model.model_sampling.sigma_max) < 15, "the model itself is as it was"


def test_weights_are_patched_in_copies(bench: Any) -> None:
    key = "diffusion_model.out.2.weight"
    weight = bench.checkpoint.model.network.out[2].weight
    model = bench.model.clone()
    applied = model.add_patches({key: ("diff", (torch.ones_like(weight),)), "no.such": (weight,)}, 0.1)
    assert applied == [key]
    assert key in model.patches
    assert not torch.equal(bench.pack(model), bench.engine())
    assert torch.equal(bench.pack(), bench.engine()), "patches come off without a trace"


def test_a_packs_own_kind_of_patch_is_computed_by_the_pack(
    bench: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    import comfy.lora

    original = comfy.lora.calculate_weight

    def mine(patches: Any, weight: torch.Tensor, key: str, *rest: Any, **named: Any) -> torch.Tensor:
        if patches[0][1][0] == "twice":
            return weight * (1 + patches[0][0])
        return original(patches, weight, key, *rest, **named)

    model = bench.model.clone()
    model.add_patches({"diffusion_model.out.2.weight": ("twice", ())})
    with pytest.raises(modules.MissingAttribute, match="twice"):
        bench.pack(model)
    monkeypatch.setattr(comfy.lora, "calculate_weight", mine)
    assert not torch.equal(bench.pack(model), bench.engine())


def test_a_clip_encodes_as_ours(bench: Any, residency: Any) -> None:
    from comfy.sdxl_clip import SDXLClipModel

    text = "a (red:1.3) house, " + "very " * 90
    ours = bench.checkpoint.clip.encode(text, residency)
    embedding, pooled = bench.clip.encode_from_tokens(bench.clip.tokenize(text), return_pooled=True)
    assert torch.equal(embedding, ours.embedding)
    assert torch.equal(pooled, ours.pooled)
    assert not isinstance(bench.clip.cond_stage_model, SDXLClipModel)
    back = border.to_engine(bench.clip)
    assert back.encoder is bench.checkpoint.clip.encoder


def test_tokens_with_words_name_the_phrase_they_are_of(bench: Any) -> None:
    tokens = bench.clip.tokenize("red (house:1.2)", return_word_ids=True)
    assert list(tokens) == ["l"]
    start, red, house, end = tokens["l"][0][:4]
    assert (start[1:], red[1:], house[1:], end[1:]) == ((1.0, 0), (1.0, 1), (1.2, 2), (1.0, 0))
    assert len(tokens["l"][0]) == 77


def test_clip_skip_crosses_the_border(bench: Any, residency: Any) -> None:
    clip = bench.clip.clone()
    clip.clip_layer(-2)
    ours = bench.checkpoint.clip.with_layer(-2).encode("house", residency).embedding
    assert torch.equal(clip.encode("house"), ours)
    assert border.to_engine(clip).layer == -2
    assert bench.clip.layer_idx is None


def test_a_tokenizer_of_a_packs_encodes_for_our_nodes(bench: Any, residency: Any) -> None:
    class Shouting:
        def __init__(self, inner: Any) -> None:
            self.inner = inner

        def tokenize_with_weights(self, text: str, return_word_ids: bool = False, **further: Any) -> Any:
            return self.inner.tokenize_with_weights(f"{text} {text}", return_word_ids)

    clip = bench.clip.clone()
    clip.tokenizer = Shouting(clip.tokenizer)
    found = border.to_engine(clip).encode("house", residency).embedding
    assert torch.equal(found, bench.checkpoint.clip.encode("house house", residency).embedding)


def test_a_vae_decodes_and_encodes_as_ours(bench: Any, residency: Any) -> None:
    latent = torch.randn(1, 4, 2, 2, generator=torch.Generator().manual_seed(1))
    picture = bench.vae.decode(latent)
    assert torch.equal(picture, bench.checkpoint.vae.decode(latent, residency))
    assert torch.equal(bench.vae.encode(picture), bench.checkpoint.vae.encode(picture, residency))
    assert bench.vae.downscale_ratio == 8
    raw = bench.vae.first_stage_model.decode(latent)
    assert torch.allclose(bench.vae.process_output(raw).movedim(1, -1), picture, atol=1e-6)
    assert border.to_engine(bench.vae) is bench.checkpoint.vae


def test_a_controlnet_of_a_packs_own_is_asked_in_its_runs_and_refused_elsewhere(bench: Any) -> None:
    import comfy.controlnet

    asked: list[tuple[int, ...]] = []

    class Mine(comfy.controlnet.ControlBase):  # type: ignore[name-defined,misc,unused-ignore]
        def get_control(self, x_noisy: Any, t: Any, cond: Any, batched_number: int, options: Any) -> Any:
            asked.append(tuple(x_noisy.shape))
            return {"middle": [torch.full((1, 1, 1, 1), 0.0)], "output": [], "input": []}

    bench.positive = [[bench.positive[0][0], {**bench.positive[0][1], "control": Mine()}]]
    model = bench.model.clone()
    model.set_model_sampler_post_cfg_function(lambda args: args["denoised"])
    bench.pack(model, steps=1)
    assert asked == [(1, 4, 4, 4)]
    with pytest.raises(UsageError, match="Mine"):
        bench.engine()


def test_what_is_not_there_says_so(bench: Any) -> None:
    import comfy.model_base
    from comfy.ldm.flux.model import Flux

    with pytest.raises(modules.MissingAttribute, match="Flux"):
        Flux(1)
    with pytest.raises(modules.MissingAttribute, match="SDXL"):
        comfy.model_base.SDXL(None)
    with pytest.raises(modules.MissingAttribute, match="no 'NoSuch'"):
        _ = comfy.model_base.NoSuch
