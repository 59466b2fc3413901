from __future__ import annotations

import pytest
import torch

from comfykit.models.clip_text import ClipText, ClipTextConfig

transformers = pytest.importorskip("transformers")


@pytest.mark.parametrize("activation", ["quick_gelu", "gelu"])
@torch.no_grad()
def test_every_layer_as_transformers(activation: str) -> None:
    torch.manual_seed(0)
    theirs = transformers.CLIPTextModel(
        transformers.CLIPTextConfig(
            vocab_size=100,
            hidden_size=64,
            intermediate_size=96,
            num_hidden_layers=4,
            num_attention_heads=4,
            max_position_embeddings=20,
            hidden_act=activation,
        )
    ).eval()
    for parameter in theirs.parameters():
        parameter.normal_(std=0.2)
    ours = ClipText(ClipTextConfig(64, 4, 4, 96, 100, 20, activation))  # type: ignore[arg-type]
    ours.load_state_dict(theirs.state_dict())  # strict: the names are the same

    ids = torch.randint(100, (2, 15))
    expected = theirs(ids, output_hidden_states=True)
    states = ours(ours.embed(ids))

    assert len(states) == 4
    for state, other in zip(states[:-1], expected.hidden_states[1:4], strict=True):
        torch.testing.assert_close(state, other, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(
        ours.final_layer_norm(states[-1]), expected.last_hidden_state, rtol=1e-4, atol=1e-4
    )


@torch.no_grad()
def test_half_precision_weights_are_widened_not_the_arithmetic_narrowed() -> None:
    torch.manual_seed(0)
    config = ClipTextConfig(64, 1, 2, 128, 100, 20)
    half = ClipText(config).half()
    wide = ClipText(config)
    wide.load_state_dict(half.state_dict())
    ids = torch.randint(100, (1, 20))
    for a, b in zip(half(half.embed(ids)), wide(wide.embed(ids)), strict=True):
        assert a.dtype == torch.float32
        torch.testing.assert_close(a, b)


@torch.no_grad()
def test_a_token_sees_nothing_behind_it() -> None:
    torch.manual_seed(0)
    network = ClipText(ClipTextConfig(64, 1, 2, 128, 100, 20))
    ids = torch.randint(100, (1, 20))
    other = ids.clone()
    other[0, 10:] = (other[0, 10:] + 1) % 100
    a, b = network(network.embed(ids))[-1], network(network.embed(other))[-1]
    torch.testing.assert_close(a[:, :10], b[:, :10])
    assert not torch.allclose(a[:, 10:], b[:, 10:])
