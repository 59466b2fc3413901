from __future__ import annotations

import pytest
import torch

from comfykit.models.clip_vision import ClipVision, ClipVisionConfig

transformers = pytest.importorskip("transformers")

CONFIG = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "image_size": 12,
    "patch_size": 4,
    "projection_dim": 20,
}
OURS = ClipVisionConfig(32, 4, 3, 48, 12, 4, projection=20)


def reference(activation: str) -> torch.nn.Module:
    torch.manual_seed(0)
    config = transformers.CLIPVisionConfig(**CONFIG, hidden_act=activation)
    theirs = transformers.CLIPVisionModelWithProjection(config).eval()
    for parameter in theirs.parameters():
        parameter.normal_(std=0.2)
    return theirs  # type: ignore[no-any-return]


@pytest.mark.parametrize("activation", ["quick_gelu", "gelu"])
@torch.no_grad()
def test_as_transformers(activation: str) -> None:
    theirs = reference(activation)
    ours = ClipVision(ClipVisionConfig(32, 4, 3, 48, 12, 4, activation, 20))  # type: ignore[arg-type]
    ours.load_state_dict(theirs.state_dict())  # strict: the names are the same
    pictures = torch.randn(2, 3, 12, 12)
    expected = theirs(pictures, output_hidden_states=True)
    found = ours(pictures)
    assert found.last.shape == (2, 10, 32)
    torch.testing.assert_close(found.last, expected.last_hidden_state, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(found.penultimate, expected.hidden_states[-2], rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(found.embeds, expected.image_embeds, rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_half_precision_weights_are_widened_not_the_arithmetic_narrowed() -> None:
    torch.manual_seed(0)
    half = ClipVision(OURS).half()
    torch.nn.init.normal_(half.vision_model.embeddings.class_embedding)
    wide = ClipVision(OURS)
    wide.load_state_dict(half.state_dict())
    pictures = torch.randn(1, 3, 12, 12)
    a, b = half(pictures), wide(pictures)
    assert a.embeds.dtype == torch.float32
    torch.testing.assert_close(a.embeds, b.embeds)
    torch.testing.assert_close(a.last, b.last)


@torch.no_grad()
def test_without_a_projection_the_whole_is_the_normed_first_token() -> None:
    torch.manual_seed(0)
    network = ClipVision(ClipVisionConfig(32, 4, 3, 48, 12, 4, projection=None))
    torch.nn.init.normal_(network.vision_model.embeddings.class_embedding)
    found = network(torch.randn(1, 3, 12, 12))
    torch.testing.assert_close(found.embeds, network.vision_model.post_layernorm(found.last[:, 0]))


def test_positions_of_the_published_sizes() -> None:
    assert [ClipVisionConfig(size=size).positions for size in (224, 336)] == [257, 577]
