"""The text transformer of CLIP.

"Learning Transferable Visual Models From Natural Language Supervision" (Radford et al. 2021), section
2.4. Names of the parameters are those of the checkpoints after `text_model.`, and `text_projection` is
what lies beside it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from comfykit.models.layers import Embedding

Activation = Literal["quick_gelu", "gelu"]


class TransformerConfig(Protocol):
    """What CLIP's transformers, of texts and of pictures, are told apart by."""

    @property
    def width(self) -> int:
        """Length of a token's vector."""
        ...

    @property
    def heads(self) -> int:
        """Attention heads, which share the width."""
        ...

    @property
    def layers(self) -> int:
        """How many there are."""
        ...

    @property
    def mlp_width(self) -> int:
        """Length of a token's vector between the two layers of an MLP."""
        ...

    @property
    def activation(self) -> Activation:
        """What is between them."""
        ...

    @property
    def causal(self) -> bool:
        """Whether a token sees only itself and what stands before it."""
        ...


@dataclass(frozen=True, slots=True)
class ClipTextConfig:
    """The shape of a text encoder; the defaults are those of CLIP ViT-L/14, which SD 1.x uses.

    `projection` is the width of the space that texts share with pictures, None without the layer that
    leads there.
    """

    width: int = 768
    heads: int = 12
    layers: int = 12
    mlp_width: int = 3072
    vocabulary: int = 49408
    positions: int = 77
    activation: Activation = "quick_gelu"
    projection: int | None = None

    @property
    def causal(self) -> bool:
        """Texts are read in their order."""
        return True


class Linear(nn.Linear):
    """Computes in the type of its input, whatever type the weights are stored in."""

    def forward(self, x: Tensor) -> Tensor:
        """[..., in] -> [..., out]."""
        bias = None if self.bias is None else self.bias.to(x.dtype)
        return F.linear(x, self.weight.to(x.dtype), bias)


class LayerNorm(nn.LayerNorm):
    """Computes in the type of its input, whatever type the weights are stored in."""

    def forward(self, x: Tensor) -> Tensor:
        """[..., width] -> the same."""
        return F.layer_norm(
            x, self.normalized_shape, self.weight.to(x.dtype), self.bias.to(x.dtype), self.eps
        )


class Embeddings(nn.Module):
    """Tokens and their positions to vectors."""

    def __init__(self, config: ClipTextConfig) -> None:
        super().__init__()
        self.token_embedding = Embedding(config.vocabulary, config.width)
        self.position_embedding = Embedding(config.positions, config.width)


class Attention(nn.Module):
    """Self-attention of tokens."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.heads = config.heads
        self.causal = config.causal
        self.q_proj = Linear(config.width, config.width)
        self.k_proj = Linear(config.width, config.width)
        self.v_proj = Linear(config.width, config.width)
        self.out_proj = Linear(config.width, config.width)

    def forward(self, x: Tensor) -> Tensor:
        """[B, T, width] -> the same."""
        q, k, v = (
            projection(x).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for projection in (self.q_proj, self.k_proj, self.v_proj)
        )
        attended = F.scaled_dot_product_attention(q, k, v, is_causal=self.causal)
        out: Tensor = self.out_proj(attended.transpose(1, 2).flatten(2))
        return out


class MLP(nn.Module):
    """Two layers with an activation between: [..., width] -> the same."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.activation = quick_gelu if config.activation == "quick_gelu" else F.gelu
        self.fc1 = Linear(config.width, config.mlp_width)
        self.fc2 = Linear(config.mlp_width, config.width)

    def forward(self, x: Tensor) -> Tensor:
        """Every token by itself."""
        out: Tensor = self.fc2(self.activation(self.fc1(x)))
        return out


def quick_gelu(x: Tensor) -> Tensor:
    """`x * sigmoid(1.702 x)`: "Gaussian Error Linear Units" (Hendrycks and Gimpel 2016), section 2."""
    return x * torch.sigmoid(1.702 * x)


class Layer(nn.Module):
    """Attention, then the MLP, each on its own layer norm and added to `x`."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.layer_norm1 = LayerNorm(config.width)
        self.self_attn = Attention(config)
        self.layer_norm2 = LayerNorm(config.width)
        self.mlp = MLP(config)

    def forward(self, x: Tensor) -> Tensor:
        """[B, T, width] -> the same."""
        x = x + self.self_attn(self.layer_norm1(x))
        out: Tensor = x + self.mlp(self.layer_norm2(x))
        return out


class Encoder(nn.Module):
    """The layers, first to last."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.layers = nn.ModuleList(Layer(config) for _ in range(config.layers))


class ClipText(nn.Module):
    """Token ids [B, T] to the hidden states of every layer, in float32.

    Weights may be stored in half precision: each is widened while it is used.
    """

    def __init__(self, config: ClipTextConfig) -> None:
        super().__init__()
        self.config = config
        self.embeddings = Embeddings(config)
        self.encoder = Encoder(config)
        self.final_layer_norm = LayerNorm(config.width)
        if config.projection is not None:
            self.text_projection = Linear(config.width, config.projection, bias=False)

    @property
    def device(self) -> torch.device:
        """Where the weights lie."""
        return self.embeddings.token_embedding.weight.device

    def embed(self, ids: Tensor) -> Tensor:
        """Vectors [B, T, width] of token ids [B, T], positions not yet added."""
        vectors: Tensor = self.embeddings.token_embedding(ids)
        return vectors.float()

    def pool(self, state: Tensor) -> Tensor:
        """What stands for a whole text: the last layer at its end token [B, width], normed and projected."""
        normed: Tensor = self.final_layer_norm(state)
        if self.config.projection is None:
            return normed
        projected: Tensor = self.text_projection(normed)
        return projected

    def forward(self, vectors: Tensor) -> list[Tensor]:
        """Hidden states [B, T, width] behind each layer, not normed, from the vectors of `embed`.

        T is at most `config.positions`.
        """
        positions = self.embeddings.position_embedding.weight[: vectors.shape[1]]
        x = vectors + positions.to(vectors.dtype)
        hidden = []
        for layer in self.encoder.layers:
            x = layer(x)
            hidden.append(x)
        return hidden
