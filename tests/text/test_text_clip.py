from __future__ import annotations

import pytest
import torch
from torch import Tensor

from comfykit.errors import ModelFileError
from comfykit.text.chunks import empty_chunk, tokenize
from comfykit.text.clip import ClipEncoder, build_clip_text, config_from_shapes, weigh
from comfykit.text.tokenizer import CLIP_L, END, ClipTokenizer

transformers = pytest.importorskip("transformers")


def shapes(tensors: dict[str, Tensor]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(tensor.shape) for name, tensor in tensors.items()}


@pytest.fixture
def encoder(tiny_tensors: dict[str, Tensor]) -> ClipEncoder:
    return ClipEncoder(build_clip_text(tiny_tensors, config_from_shapes(shapes(tiny_tensors))))


class Reference:
    """The same encoder made of transformers' modules."""

    def __init__(self, tensors: dict[str, Tensor]) -> None:
        config = transformers.CLIPTextConfig(
            hidden_size=128, intermediate_size=256, num_hidden_layers=3, num_attention_heads=2
        )
        self.model = transformers.CLIPTextModel(config).eval()
        self.model.load_state_dict({name: tensor.float() for name, tensor in tensors.items()})

    @torch.no_grad()
    def hidden(self, ids: list[int], skip: int = -1) -> Tensor:
        """Normed hidden state [tokens, width] of a layer counted from the end."""
        states = self.model(torch.tensor([ids]), output_hidden_states=True).hidden_states
        # Some releases count the final norm's output as the last of them.
        layers = states[1:4]
        normed: Tensor = self.model.final_layer_norm(layers[skip])
        return normed[0] if skip != -1 else self.model(torch.tensor([ids])).last_hidden_state[0]


@pytest.fixture
def reference(tiny_tensors: dict[str, Tensor]) -> Reference:
    return Reference(tiny_tensors)


def chunk_ids(prompt: str, index: int = 0) -> list[int]:
    return [token.value for token in tokenize(prompt)[index] if isinstance(token.value, int)]


def close(a: Tensor, b: Tensor) -> None:
    torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)


def test_widths_come_from_the_shapes(tiny_tensors: dict[str, Tensor]) -> None:
    config = config_from_shapes(shapes(tiny_tensors))
    assert (config.width, config.heads, config.layers, config.mlp_width) == (128, 2, 3, 256)
    assert (config.vocabulary, config.positions, config.activation) == (49408, 77, "quick_gelu")


@pytest.mark.parametrize(("width", "heads"), [(768, 12), (1024, 16), (1280, 20), (32, 1)])
def test_64_channels_a_head(width: int, heads: int) -> None:
    config = config_from_shapes(
        {
            "embeddings.token_embedding.weight": (49408, width),
            "embeddings.position_embedding.weight": (77, width),
            "encoder.layers.0.mlp.fc1.weight": (4 * width, width),
        }
    )
    assert config.heads == heads


def test_a_tensor_that_tells_a_width_is_missed_by_name() -> None:
    with pytest.raises(ModelFileError, match=r"embeddings\.token_embedding\.weight"):
        config_from_shapes({})


def test_a_missing_tensor_is_named(tiny_tensors: dict[str, Tensor]) -> None:
    config = config_from_shapes(shapes(tiny_tensors))
    del tiny_tensors["encoder.layers.1.mlp.fc2.bias"]
    with pytest.raises(ModelFileError, match=r"encoder\.layers\.1\.mlp\.fc2\.bias"):
        build_clip_text(tiny_tensors, config)


def test_weights_in_half_precision_are_not_copied(tiny_tensors: dict[str, Tensor]) -> None:
    tensors = {**tiny_tensors, "embeddings.position_ids": torch.arange(77)[None]}
    network = build_clip_text(tensors, config_from_shapes(shapes(tiny_tensors)))
    for name, parameter in network.named_parameters():
        assert parameter.data_ptr() == tensors[name].data_ptr()
        assert not parameter.requires_grad


def test_weights_are_kept_in_half_precision(tiny_tensors: dict[str, Tensor]) -> None:
    wide = {name: tensor.float() for name, tensor in tiny_tensors.items()}
    network = build_clip_text(wide, config_from_shapes(shapes(wide)))
    assert {parameter.dtype for parameter in network.parameters()} == {torch.float16}


@pytest.mark.parametrize("skip", [-1, -2, -3])
@pytest.mark.parametrize("prompt", ["", "a photograph of a red fox"])
def test_as_transformers(encoder: ClipEncoder, reference: Reference, prompt: str, skip: int) -> None:
    encoded = encoder.encode(tokenize(prompt), layer=skip)
    assert encoded.embedding.dtype == torch.float32
    close(encoded.embedding[0], reference.hidden(chunk_ids(prompt), skip))


@pytest.mark.parametrize("skip", [-1, -2])
def test_pooled_is_the_last_layer_at_the_first_end(
    encoder: ClipEncoder, reference: Reference, skip: int
) -> None:
    prompt = "red fox " * 60
    pooled = encoder.encode(tokenize(prompt), layer=skip).pooled
    ids = chunk_ids(prompt)
    assert pooled.shape == (1, 128)
    close(pooled[0], reference.hidden(ids)[ids.index(END)])


def test_a_layer_that_is_not_there_is_the_last(encoder: ClipEncoder) -> None:
    chunks = tokenize("fox")
    assert torch.equal(
        encoder.encode(chunks, layer=-24).embedding, encoder.encode(chunks, layer=-1).embedding
    )


def test_chunks_are_encoded_apart_and_joined(encoder: ClipEncoder, reference: Reference) -> None:
    prompt = "red fox " * 60
    embedding = encoder.encode(tokenize(prompt)).embedding
    assert embedding.shape == (1, 2 * 77, 128)
    close(embedding[0, :77], reference.hidden(chunk_ids(prompt, 0)))
    close(embedding[0, 77:], reference.hidden(chunk_ids(prompt, 1)))


@pytest.mark.parametrize("skip", [-1, -2])
def test_weights_move_a_token_from_the_empty_prompt(
    encoder: ClipEncoder, reference: Reference, skip: int
) -> None:
    embedding = encoder.encode(tokenize("red (fox:1.5) (snow:0.0) day"), layer=skip).embedding[0]
    plain = reference.hidden(chunk_ids("red fox snow day"), skip)
    empty = reference.hidden(chunk_ids(""), skip)
    expected = plain.clone()
    expected[2] = empty[2] + 1.5 * (plain[2] - empty[2])
    expected[3] = empty[3]
    close(embedding, expected)


def test_tokens_of_weight_one_are_left_as_they_are() -> None:
    embedding, empty = torch.randn(1, 3, 4), torch.randn(3, 4)
    weighed = weigh(embedding, empty, torch.tensor([[1.0, 1.0, 2.0]]))
    assert torch.equal(weighed[:, :2], embedding[:, :2])
    close(weighed[:, 2], 2 * embedding[:, 2] - empty[2])


def test_a_textual_inversion_stands_in_for_tokens(
    encoder: ClipEncoder, tiny_tensors: dict[str, Tensor]
) -> None:
    table = tiny_tensors["embeddings.token_embedding.weight"]
    vectors = table[CLIP_L.ids("red fox")]
    written = encoder.encode(tokenize("a red fox runs"))
    injected = encoder.encode(tokenize("a embedding:it runs", find_embedding=lambda name: vectors))
    close(injected.embedding, written.embedding)
    close(injected.pooled, written.pooled)


def test_encoding_leaves_the_weights_alone(encoder: ClipEncoder) -> None:
    before = {name: tensor.clone() for name, tensor in encoder.network.state_dict().items()}
    encoder.encode(tokenize("(embedding:it:1.2)", find_embedding=lambda name: torch.ones(2, 128)))
    assert all(torch.equal(before[name], tensor) for name, tensor in encoder.network.state_dict().items())


def test_the_empty_prompt_of_the_weights_is_padded_as_the_chunks_are(tiny_tensors: dict[str, Tensor]) -> None:
    tokenizer = ClipTokenizer(pad=0)
    network = build_clip_text(tiny_tensors, config_from_shapes(shapes(tiny_tensors)))
    encoder = ClipEncoder(network, tokenizer)
    nothing = encoder.encode(tokenize("(fox:0.0)", tokenizer)).embedding[0]
    empty = encoder.encode([empty_chunk(tokenizer)]).embedding[0]
    assert torch.equal(nothing[1], empty[1])
