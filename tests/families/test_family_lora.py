"""LoRAs on a real, tiny model: what is patched, what is said, what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from comfykit.errors import ModelFileError
from comfykit.families.load import Checkpoint
from comfykit.families.lora import add_lora, load_lora
from comfykit.memory import Residency
from comfykit.weights.lora import parse_lora

UNET = "lora_unet_mid_block_attentions_0_transformer_blocks_0_attn1_to_q"
PARAMETER = "middle_block.1.transformer_blocks.0.attn1.to_q.weight"
TEXT = "lora_te_text_model_encoder_layers_0_mlp_fc1"
TEXT_PARAMETER = "encoder.layers.0.mlp.fc1.weight"


def factors(name: str, shape: torch.Size, rank: int = 2) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(len(name))
    return {
        f"{name}.lora_up.weight": torch.randn(shape[0], rank, generator=generator),
        f"{name}.lora_down.weight": torch.randn(rank, shape[1], generator=generator),
    }


@pytest.fixture
def lora(checkpoint: Checkpoint) -> dict[str, Tensor]:
    unet = checkpoint.model.network.get_parameter(PARAMETER).shape
    text = checkpoint.clip.networks["clip_l"].get_parameter(TEXT_PARAMETER).shape
    return {**factors(UNET, unet), **factors(TEXT, text)}


def delta(lora: dict[str, Tensor], name: str) -> Tensor:
    return lora[f"{name}.lora_up.weight"] @ lora[f"{name}.lora_down.weight"]


def test_each_part_has_a_strength_of_its_own(
    checkpoint: Checkpoint, lora: dict[str, Tensor], residency: Residency
) -> None:
    network, text = checkpoint.model.network, checkpoint.clip.networks["clip_l"]
    unet_before = network.get_parameter(PARAMETER).detach().float()
    text_before = text.get_parameter(TEXT_PARAMETER).detach().float()
    added = add_lora(
        parse_lora(lora), checkpoint.model, checkpoint.clip, strength_model=0.5, strength_clip=-2.0
    )
    assert added.left_out == ()
    assert added.clip is not None
    added.model.predictor(residency)
    torch.testing.assert_close(network.get_parameter(PARAMETER), unet_before + 0.5 * delta(lora, UNET))
    added.clip.encode("a fox", residency)
    expected = (text_before - 2.0 * delta(lora, TEXT)).half()
    assert torch.equal(text.get_parameter(TEXT_PARAMETER), expected)


def test_models_that_share_a_network_alternate(
    checkpoint: Checkpoint, lora: dict[str, Tensor], residency: Residency
) -> None:
    parsed = parse_lora(lora)
    network = checkpoint.model.network
    models = [
        add_lora(parsed, checkpoint.model, None, strength_model=strength).model for strength in (1.0, -1.0)
    ]
    seen = []
    for model in (checkpoint.model, *models, checkpoint.model, *models):
        model.predictor(residency)
        seen.append(network.get_parameter(PARAMETER).clone())
    assert all(torch.equal(first, second) for first, second in zip(seen[:3], seen[3:], strict=True))
    assert not torch.equal(seen[0], seen[1])
    assert not torch.equal(seen[1], seen[2])
    assert torch.equal(seen[3], residency.sources(network)[PARAMETER].float())


def test_loras_add_up(checkpoint: Checkpoint, lora: dict[str, Tensor], residency: Residency) -> None:
    parsed = parse_lora(lora)
    before = checkpoint.model.network.get_parameter(PARAMETER).detach().float()
    once = add_lora(parsed, checkpoint.model, None, strength_model=0.25).model
    twice = add_lora(parsed, once, None, strength_model=0.5).model
    twice.predictor(residency)
    found = checkpoint.model.network.get_parameter(PARAMETER)
    torch.testing.assert_close(found, before + 0.75 * delta(lora, UNET))
    assert len(once.patches.entries(PARAMETER)) == 1


def test_what_is_left_out_is_said(checkpoint: Checkpoint, lora: dict[str, Tensor]) -> None:
    tensors = {
        **lora,
        **factors("lora_unet_down_blocks_9_attentions_0_proj_in", torch.Size((8, 8))),
        **factors(UNET.replace("to_q", "to_k"), torch.Size((3, 3))),
        **factors("lora_te2_text_model_encoder_layers_0_mlp_fc1", torch.Size((8, 8))),
        "lora_unet_mid_block.oft_blocks": torch.ones(1),
    }
    added = add_lora(
        parse_lora(tensors), checkpoint.model, checkpoint.clip, strength_model=1.0, strength_clip=1.0
    )
    said = "\n".join(added.left_out)
    assert len(added.left_out) == 4
    for piece in ("oft_blocks", "down_blocks_9", "another size", "lora_te2"):
        assert piece in said
    assert list(added.model.patches) == [PARAMETER]


def test_a_model_alone_takes_only_its_part(checkpoint: Checkpoint, lora: dict[str, Tensor]) -> None:
    added = add_lora(parse_lora(lora), checkpoint.model, None, strength_model=1.0)
    assert added.left_out == ()
    assert added.clip is None
    text_only = {name: tensor for name, tensor in lora.items() if name.startswith(TEXT)}
    added = add_lora(parse_lora(text_only), checkpoint.model, None, strength_model=1.0)
    assert added.left_out == ("it has nothing for the model, only for text encoders",)
    assert len(added.model.patches) == 0


@pytest.mark.parametrize(
    ("name", "width", "meant"),
    [
        ("lora_unet_input_blocks_4_1_transformer_blocks_0_attn2_to_k", 2048, "SDXL"),
        ("lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn2_to_k", 1024, "2.x"),
        ("diffusion_model.double_blocks.0.img_attn.proj", 64, "Flux"),
        ("transformer.single_transformer_blocks.0.attn.to_q", 64, "Flux"),
        ("some.layer", 64, "its layers are called some.layer"),
    ],
)
def test_a_lora_of_which_nothing_fits_is_refused(
    checkpoint: Checkpoint, name: str, width: int, meant: str
) -> None:
    parsed = parse_lora(factors(name, torch.Size((7, width))))
    for clip in (checkpoint.clip, None):
        with pytest.raises(ModelFileError, match="nothing in this LoRA fits") as caught:
            add_lora(parsed, checkpoint.model, clip, strength_model=1.0, strength_clip=1.0)
        assert meant in str(caught.value)
        assert "Stable Diffusion 1.x" in str(caught.value)


def test_a_lora_file_is_read_and_others_are_named(
    checkpoint_path: Path, lora: dict[str, Tensor], tmp_path: Path
) -> None:
    path = tmp_path / "lora.safetensors"
    save_file(lora, path)
    assert set(load_lora(path).layers) == {UNET, TEXT}
    with pytest.raises(ModelFileError, match="this is a checkpoint, not a LoRA"):
        load_lora(checkpoint_path)
    save_file({"some.oft_blocks": torch.ones(2)}, path)
    with pytest.raises(ModelFileError, match="no LoRA of a kind"):
        load_lora(path)
