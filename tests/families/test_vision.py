from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import Tensor

from comfykit.errors import ModelFileError
from comfykit.families.vision import DEVIATION, MEAN, VisionEncoder, embedded_vision, load_vision, prepared
from comfykit.memory import Residency
from comfykit.models.clip_vision import ClipVision, ClipVisionConfig

CONFIG = ClipVisionConfig(width=64, heads=1, layers=2, mlp_width=96, size=28, patch=14, projection=20)


def weights() -> dict[str, Tensor]:
    torch.manual_seed(0)
    return {name: 0.2 * torch.randn_like(tensor) for name, tensor in ClipVision(CONFIG).state_dict().items()}


def in_pixels(seen: Tensor) -> Tensor:
    """What CLIP sees, as bytes again."""
    mean, deviation = (torch.tensor(values).reshape(3, 1, 1) for values in (MEAN, DEVIATION))
    return (seen * deviation + mean) * 255


@pytest.fixture
def picture() -> Tensor:
    """A smooth picture of 60 x 90 pixels in bytes."""
    y, x = torch.meshgrid(torch.linspace(0, 3, 60), torch.linspace(0, 5, 90), indexing="ij")
    shown = torch.stack((x.sin(), y.cos(), (x * y).sin()), dim=-1) * 0.45 + 0.5
    return ((shown * 255).round() / 255)[None]


@pytest.mark.parametrize("crop", [True, False])
def test_pictures_are_prepared_as_pillow_would(picture: Tensor, crop: bool) -> None:
    whole = Image.fromarray((picture[0] * 255).round().to(torch.uint8).numpy())
    resized = whole.resize((42, 28) if crop else (28, 28), Image.Resampling.BICUBIC)
    expected = resized.crop((7, 0, 35, 28)) if crop else resized
    seen = in_pixels(prepared(picture, 28, crop=crop))
    assert seen.shape == (1, 3, 28, 28)
    difference = seen[0].movedim(0, -1) - torch.from_numpy(np.array(expected)).float()
    assert float(difference.abs().max()) < 2.1  # Pillow rounds between both directions


def test_values_are_those_of_bytes_and_alpha_is_left_out() -> None:
    pictures = torch.rand(2, 28, 28, 4)
    seen = in_pixels(prepared(pictures, 28, crop=True))
    torch.testing.assert_close(seen, (255 * pictures[..., :3]).round().movedim(-1, 1), rtol=0, atol=1e-4)


@pytest.mark.parametrize(("height", "width"), [(1, 500), (500, 1), (3, 28), (27, 29)])
@pytest.mark.parametrize("crop", [True, False])
def test_any_size_becomes_a_square(height: int, width: int, crop: bool) -> None:
    seen = prepared(torch.rand(1, height, width, 3), 28, crop=crop)
    assert seen.shape == (1, 3, 28, 28)
    assert bool(seen.isfinite().all())


def test_outputs_have_the_names_that_nodes_read(residency: Residency) -> None:
    network = ClipVision(CONFIG)
    network.load_state_dict(weights())
    pictures = torch.rand(2, 30, 40, 3)
    found = VisionEncoder(network).encode(pictures, residency)
    states = network(prepared(pictures, 28, crop=True))
    assert torch.equal(found.last_hidden_state, states.last)
    assert torch.equal(found.penultimate_hidden_states, states.penultimate)
    assert torch.equal(found.image_embeds, states.embeds)
    for name in ("last_hidden_state", "penultimate_hidden_states", "image_embeds"):
        assert found[name] is getattr(found, name)
    with pytest.raises(KeyError):
        found["network"]


def test_a_file_in_the_layout_of_transformers(tmp_path: Path) -> None:
    own = {
        **weights(),
        "vision_model.embeddings.position_ids": torch.arange(5),
        "text_model.encoder.layers.0.mlp.fc1.weight": torch.zeros(2, 2),  # the other half of a whole CLIP
        "logit_scale": torch.tensor(1.0),
    }
    save_file(own, tmp_path / "clip.safetensors")
    assert load_vision(tmp_path / "clip.safetensors").network.config == CONFIG


def test_other_files_are_refused_by_name(tmp_path: Path) -> None:
    save_file({"vision_model.head.attention.in_proj_weight": torch.zeros(3)}, tmp_path / "siglip.safetensors")
    with pytest.raises(ModelFileError, match=r"siglip\.safetensors: this is no vision encoder of CLIP"):
        load_vision(tmp_path / "siglip.safetensors")
    save_file({"conv_first.weight": torch.zeros(3)}, tmp_path / "x4.safetensors")
    with pytest.raises(ModelFileError, match="an upscaler, not a CLIP vision model"):
        load_vision(tmp_path / "x4.safetensors")


def test_a_checkpoint_without_one_is_no_unclip_checkpoint(checkpoint_path: Path) -> None:
    with pytest.raises(ModelFileError, match="holds no vision encoder") as caught:
        embedded_vision(checkpoint_path)
    assert "CheckpointLoaderSimple" in str(caught.value.hint)


def test_a_checkpoint_with_a_vision_encoder(checkpoint_path: Path, tmp_path: Path) -> None:
    places = {
        "class_embedding": torch.zeros(64),
        "positional_embedding": torch.zeros(5, 64),
        "conv1.weight": torch.zeros(64, 3, 14, 14),
        "proj": torch.zeros(64, 20),
        **{f"{norm}.{kind}": torch.ones(64) for norm in ("ln_pre", "ln_post") for kind in ("weight", "bias")},
        "transformer.resblocks.0.attn.in_proj_weight": torch.zeros(192, 64),
        "transformer.resblocks.0.attn.in_proj_bias": torch.zeros(192),
        "transformer.resblocks.0.mlp.c_fc.weight": torch.zeros(96, 64),
        "transformer.resblocks.0.mlp.c_fc.bias": torch.zeros(96),
        "transformer.resblocks.0.mlp.c_proj.weight": torch.zeros(64, 96),
        "transformer.resblocks.0.attn.out_proj.weight": torch.zeros(64, 64),
        **{f"transformer.resblocks.0.{norm}.weight": torch.ones(64) for norm in ("ln_1", "ln_2")},
        **{
            f"transformer.resblocks.0.{layer}.bias": torch.zeros(64)
            for layer in ("attn.out_proj", "mlp.c_proj", "ln_1", "ln_2")
        },
    }
    embedded = {f"embedder.model.visual.{name}": tensor for name, tensor in places.items()}
    save_file({**load_file(checkpoint_path), **embedded}, tmp_path / "both.safetensors")
    config = embedded_vision(tmp_path / "both.safetensors").network.config
    assert (config.width, config.layers, config.projection) == (64, 1, 20)
