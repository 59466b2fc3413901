from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from comfykit.models.gligen import (
    MOST_BOXES,
    GatedSelfAttention,
    Gligen,
    GligenConfig,
    PositionNet,
    fourier,
    fuser_path,
)

CONFIG = GligenConfig({("input", 1, 0): 32, ("middle", 0, 0): 64, ("output", 3, 1): 32}, 12, 8, 20, 24)


def filled(module: nn.Module) -> nn.Module:
    torch.manual_seed(0)
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.3)
    return module.eval()


def test_sines_and_cosines_of_boxes() -> None:
    box = [0.1, 0.2, 0.7, 0.9]
    expected = [
        wave(100 ** (step / 8) * side) for step in range(8) for wave in (math.sin, math.cos) for side in box
    ]
    torch.testing.assert_close(
        fourier(torch.tensor([box]), 8)[0], torch.tensor(expected), rtol=1e-4, atol=1e-4
    )


@torch.no_grad()
def test_phrases_and_places_become_tokens_and_null_features_fill_up() -> None:
    net = filled(PositionNet(CONFIG))
    boxes, phrases = torch.rand(2, 4), torch.randn(2, 12)
    found = net(boxes, phrases)
    assert found.shape == (1, MOST_BOXES, 24)
    real = net.linears(torch.cat((phrases, fourier(boxes, 8)), dim=-1))
    torch.testing.assert_close(found[0, :2], real)
    null = net.linears(torch.cat((net.null_positive_feature, net.null_position_feature)))
    torch.testing.assert_close(found[0, 2:], null.expand(28, -1))


@torch.no_grad()
def test_tokens_as_diffusers() -> None:
    embeddings = pytest.importorskip("diffusers.models.embeddings")
    net = filled(PositionNet(CONFIG))
    theirs = embeddings.GLIGENTextBoundingboxProjection(positive_len=12, out_dim=24)
    theirs.linears[0], theirs.linears[2], theirs.linears[4] = net.linears[0], net.linears[2], net.linears[4]
    theirs.null_positive_feature = net.null_positive_feature
    theirs.null_position_feature = net.null_position_feature
    boxes, phrases, masks = torch.zeros(1, 30, 4), torch.zeros(1, 30, 12), torch.zeros(1, 30)
    boxes[0, :3], phrases[0, :3], masks[0, :3] = torch.rand(3, 4), torch.randn(3, 12), 1.0
    expected = theirs(boxes, masks, positive_embeddings=phrases)
    torch.testing.assert_close(net(boxes[0, :3], phrases[0, :3]), expected, rtol=1e-4, atol=1e-4)


def attention_by_hand(layer: nn.Module, x: Tensor, heads: int) -> Tensor:
    outs = []
    queries, keys, values = (
        projection(x).chunk(heads, dim=-1) for projection in (layer.to_q, layer.to_k, layer.to_v)
    )
    for q, k, v in zip(queries, keys, values, strict=True):
        outs.append(((q @ k.mT) / math.sqrt(q.shape[-1])).softmax(dim=-1) @ v)
    return layer.to_out(torch.cat(outs, dim=-1))  # type: ignore[no-any-return]


@torch.no_grad()
def test_the_formula_of_the_gated_attention() -> None:
    """Equation 8: v + tanh(gamma) * TS(SelfAttn([v, h])), then the same for the feed-forward layer."""
    layer = filled(GatedSelfAttention(32, 24))
    x, tokens = torch.randn(2, 6, 32), torch.randn(2, 30, 24)
    both = layer.norm1(torch.cat((x, layer.linear(tokens)), dim=1))
    expected = x + math.tanh(float(layer.alpha_attn)) * attention_by_hand(layer.attn, both, 8)[:, :6]
    expected = expected + math.tanh(float(layer.alpha_dense)) * layer.ff(layer.norm2(expected))
    torch.testing.assert_close(layer(x, tokens), expected, rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_the_gated_attention_as_diffusers() -> None:
    attention = pytest.importorskip("diffusers.models.attention")
    layer = filled(GatedSelfAttention(32, 24))
    theirs = attention.GatedSelfAttentionDense(32, 24, 8, 4)
    theirs.load_state_dict(layer.state_dict())
    x, tokens = torch.randn(2, 6, 32), torch.randn(2, 30, 24)
    torch.testing.assert_close(layer(x, tokens), theirs(x, tokens), rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_without_gates_nothing_changes() -> None:
    layer = filled(GatedSelfAttention(32, 24))
    layer.alpha_attn.zero_()
    layer.alpha_dense.zero_()
    x = torch.randn(1, 6, 32)
    assert torch.equal(layer(x, torch.randn(1, 30, 24)), x)


def test_names_are_those_of_the_files() -> None:
    names = set(Gligen(CONFIG).state_dict())
    assert fuser_path(("output", 3, 1)) == "output_blocks.3.1.transformer_blocks.1.fuser"
    assert {
        "position_net.linears.4.bias",
        "position_net.null_position_feature",
        "input_blocks.1.1.transformer_blocks.0.fuser.alpha_attn",
        "middle_block.1.transformer_blocks.0.fuser.attn.to_out.0.weight",
        "output_blocks.3.1.transformer_blocks.1.fuser.ff.net.0.proj.weight",
    } <= names


def test_places_without_layers() -> None:
    network = Gligen(CONFIG)
    assert network.fuser(("input", 1, 0)) is not None
    assert network.fuser(("input", 2, 0)) is None
