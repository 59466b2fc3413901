"""Several encoders behind one interface, against transformers and OpenCLIP's own arithmetic."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from comfykit.models.clip_text import ClipText
from comfykit.text.clip import ClipEncoder, build_clip_text, config_from_shapes
from comfykit.text.encoders import ClipEncoders
from comfykit.text.open_clip import from_open_clip
from comfykit.text.tokenizer import CLIP_L, END, OPEN_CLIP, START

transformers = pytest.importorskip("transformers")

WIDTH, LAYERS, VECTORS = 64, 3, 49408


def open_clip_tensors() -> dict[str, Tensor]:
    """A text encoder in OpenCLIP's layout, exact in half precision."""
    shapes: dict[str, tuple[int, ...]] = {
        "token_embedding.weight": (VECTORS, WIDTH),
        "positional_embedding": (77, WIDTH),
        "ln_final.weight": (WIDTH,),
        "ln_final.bias": (WIDTH,),
        "text_projection": (WIDTH, 40),
        "logit_scale": (),
    }
    for i in range(LAYERS):
        block = f"transformer.resblocks.{i}."
        shapes |= {
            f"{block}{norm}.{kind}": (WIDTH,) for norm in ("ln_1", "ln_2") for kind in ("weight", "bias")
        }
        shapes |= {
            f"{block}attn.in_proj_weight": (3 * WIDTH, WIDTH),
            f"{block}attn.in_proj_bias": (3 * WIDTH,),
            f"{block}attn.out_proj.weight": (WIDTH, WIDTH),
            f"{block}attn.out_proj.bias": (WIDTH,),
            f"{block}mlp.c_fc.weight": (2 * WIDTH, WIDTH),
            f"{block}mlp.c_fc.bias": (2 * WIDTH,),
            f"{block}mlp.c_proj.weight": (WIDTH, 2 * WIDTH),
            f"{block}mlp.c_proj.bias": (WIDTH,),
        }
    generator = torch.Generator().manual_seed(0)
    return {name: (torch.randn(shape, generator=generator) * 0.2).half() for name, shape in shapes.items()}


def open_clip(tensors: dict[str, Tensor], ids: list[int], blocks: int) -> tuple[Tensor, Tensor]:
    """OpenCLIP's text transformer: the state behind `blocks` blocks, and the text's features."""
    wide = {name: tensor.float() for name, tensor in tensors.items()}
    causal = torch.full((len(ids), len(ids)), float("-inf")).triu(1)
    x = wide["token_embedding.weight"][ids][None] + wide["positional_embedding"][: len(ids)]
    states = []
    for i in range(LAYERS):
        own = {name.split(f"resblocks.{i}.")[-1]: tensor for name, tensor in wide.items()}
        attention = torch.nn.MultiheadAttention(WIDTH, 1, batch_first=True)
        attention.load_state_dict({name: own[f"attn.{name}"] for name in attention.state_dict()})
        normed = F.layer_norm(x, (WIDTH,), own["ln_1.weight"], own["ln_1.bias"])
        x = x + attention(normed, normed, normed, attn_mask=causal, need_weights=False)[0]
        normed = F.layer_norm(x, (WIDTH,), own["ln_2.weight"], own["ln_2.bias"])
        inner = F.gelu(F.linear(normed, own["mlp.c_fc.weight"], own["mlp.c_fc.bias"]))
        x = x + F.linear(inner, own["mlp.c_proj.weight"], own["mlp.c_proj.bias"])
        states.append(x)
    normed = F.layer_norm(x, (WIDTH,), wide["ln_final.weight"], wide["ln_final.bias"])
    return states[blocks - 1][0], normed[:, ids.index(END)] @ wide["text_projection"]


def network(tensors: dict[str, Tensor], activation: str) -> ClipText:
    shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    return build_clip_text(tensors, config_from_shapes(shapes, activation=activation))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def big() -> ClipEncoder:
    """An encoder as SDXL has its second."""
    tensors = from_open_clip(open_clip_tensors())
    return ClipEncoder(network(tensors, "gelu"), OPEN_CLIP, "clip_g", layer=-2, normed=False)


@pytest.fixture
def both(big: ClipEncoder, tiny_tensors: dict[str, Tensor]) -> ClipEncoders:
    small = ClipEncoder(network(tiny_tensors, "quick_gelu"), layer=-2, normed=False)
    return ClipEncoders((small, big))


def chunk_of(text: str, pad: int) -> list[int]:
    ids = CLIP_L.ids(text)
    return [START, *ids, END, *[pad] * (75 - len(ids))]


@torch.no_grad()
def test_as_open_clip(big: ClipEncoder) -> None:
    encoded = ClipEncoders((big,)).encode("a red fox")
    state, features = open_clip(open_clip_tensors(), chunk_of("a red fox", pad=0), blocks=LAYERS - 1)
    torch.testing.assert_close(encoded.embedding[0], state, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(encoded.pooled, features, rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_pooled_as_transformers_with_projection(big: ClipEncoder) -> None:
    config = transformers.CLIPTextConfig(
        hidden_size=WIDTH,
        intermediate_size=2 * WIDTH,
        num_hidden_layers=LAYERS,
        num_attention_heads=1,
        hidden_act="gelu",
        projection_dim=40,
    )
    theirs = transformers.CLIPTextModelWithProjection(config).eval()
    tensors = {
        name if name.startswith("text_projection") else f"text_model.{name}": tensor.float()
        for name, tensor in big.network.state_dict().items()
    }
    theirs.load_state_dict(tensors)
    expected = theirs(torch.tensor([chunk_of("a red fox", pad=0)]))
    encoded = ClipEncoders((big,)).encode("a red fox", layer=-1)
    torch.testing.assert_close(encoded.pooled, expected.text_embeds, rtol=1e-4, atol=1e-4)


def test_nothing_is_copied_but_the_type() -> None:
    tensors = open_clip_tensors()
    ours = from_open_clip(tensors)
    fused = tensors["transformer.resblocks.1.attn.in_proj_weight"]
    rows = fused[WIDTH : 2 * WIDTH]
    assert ours["encoder.layers.1.self_attn.k_proj.weight"].data_ptr() == rows.data_ptr()
    assert ours["text_projection.weight"].data_ptr() == tensors["text_projection"].data_ptr()
    assert ours["text_projection.weight"].shape == (40, WIDTH)
    assert "logit_scale" not in ours


def test_a_projection_that_is_a_linear_layer_stays_one() -> None:
    weight = torch.randn(40, WIDTH)
    assert torch.equal(from_open_clip({"text_projection.weight": weight})["text_projection.weight"], weight)


@torch.no_grad()
def test_vectors_stand_side_by_side_and_the_last_encoder_pools(both: ClipEncoders) -> None:
    small, big = (ClipEncoders((one,)).encode("a (red:1.3) fox") for one in both.encoders)
    joined = both.encode("a (red:1.3) fox")
    assert torch.equal(joined.embedding, torch.cat((small.embedding, big.embedding), dim=-1))
    assert torch.equal(joined.pooled, big.pooled)
    assert list(both.networks) == ["clip_l", "clip_g"]


@torch.no_grad()
def test_encoders_may_have_prompts_of_their_own(both: ClipEncoders) -> None:
    long = "fox " * 80
    joined = both.encode({"clip_l": "snow", "clip_g": long})
    assert joined.embedding.shape == (1, 154, 128 + WIDTH)
    small, big = both.encoders
    short, empty = (ClipEncoders((small,)).encode(text).embedding for text in ("snow", ""))
    torch.testing.assert_close(joined.embedding[..., :128], torch.cat((short, empty), dim=1))
    torch.testing.assert_close(joined.embedding[..., 128:], ClipEncoders((big,)).encode(long).embedding)
    alone = both.encode({"clip_g": long}).embedding[..., :128]
    torch.testing.assert_close(alone, torch.cat((empty, empty), dim=1))


@torch.no_grad()
def test_a_textual_inversion_of_one_encoder_does_not_shift_the_other(both: ClipEncoders) -> None:
    asked: list[tuple[str, int]] = []

    def embeddings(slot: str, width: int) -> object:
        asked.append((slot, width))
        return lambda name: torch.zeros(80, width) if slot == "clip_l" else None

    joined = both.encode("embedding:it fox", embeddings)  # type: ignore[arg-type]
    assert asked == [("clip_l", 128), ("clip_g", WIDTH)]
    assert joined.embedding.shape == (1, 77, 128 + WIDTH)
    alone = ClipEncoders(both.encoders[1:]).encode("fox")
    torch.testing.assert_close(joined.embedding[..., 128:], alone.embedding)


@torch.no_grad()
def test_a_layer_is_that_of_all_encoders(both: ClipEncoders) -> None:
    last = both.encode("fox", layer=-1)
    for encoder, part in zip(both.encoders, last.embedding.split((128, WIDTH), dim=-1), strict=True):
        alone = ClipEncoders((encoder,)).encode("fox", layer=-1)
        assert torch.equal(part, alone.embedding)
    assert not torch.equal(last.embedding, both.encode("fox").embedding)
    assert torch.equal(last.pooled, both.encode("fox").pooled)
