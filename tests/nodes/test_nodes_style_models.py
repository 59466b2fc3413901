from __future__ import annotations

import pytest
import torch
from nodes_support import Run
from safetensors.torch import save_file
from torch import Tensor, nn

from comfykit.errors import ModelFileError, UsageError
from comfykit.families.style import StyleModel
from comfykit.families.vision import VisionOutput
from comfykit.models.style_adapter import StyleAdapter, StyleAdapterConfig
from comfykit.nodes.style_models import style_model_apply, style_model_loader

CONFIG = StyleAdapterConfig(width=32, out=12, layers=2, tokens=3)


@pytest.fixture
def network() -> StyleAdapter:
    torch.manual_seed(0)
    made = StyleAdapter(CONFIG)
    for parameter in made.parameters():
        nn.init.normal_(parameter, std=0.2)
    return made.eval().requires_grad_(False)


def seen(batch: int = 1, width: int = 32) -> VisionOutput:
    states = torch.randn(batch, 5, width, generator=torch.Generator().manual_seed(1))
    return VisionOutput(states, torch.zeros(batch, 4), states)


def by_hand(network: StyleAdapter, x: Tensor) -> Tensor:
    """The authors' formulas, head by head, on the tensors of their file."""
    own = network.state_dict()
    x = torch.cat((x, own["style_embedding"].expand(x.shape[0], -1, -1)), dim=1)
    x = nn.functional.layer_norm(x, (32,), own["ln_pre.weight"], own["ln_pre.bias"])
    for layer in range(2):
        at = f"transformer_layes.{layer}."
        h = nn.functional.layer_norm(x, (32,), own[f"{at}ln_1.weight"], own[f"{at}ln_1.bias"])
        q, k, v = (h @ own[f"{at}attn.in_proj_weight"].T + own[f"{at}attn.in_proj_bias"]).chunk(3, dim=-1)
        heads = [
            (a @ b.mT / 2.0).softmax(dim=-1) @ c  # 4 channels a head
            for a, b, c in zip(q.split(4, -1), k.split(4, -1), v.split(4, -1), strict=True)
        ]
        x = x + torch.cat(heads, -1) @ own[f"{at}attn.out_proj.weight"].T + own[f"{at}attn.out_proj.bias"]
        h = nn.functional.layer_norm(x, (32,), own[f"{at}ln_2.weight"], own[f"{at}ln_2.bias"])
        h = h @ own[f"{at}mlp.c_fc.weight"].T + own[f"{at}mlp.c_fc.bias"]
        h = h * torch.sigmoid(1.702 * h)
        x = x + h @ own[f"{at}mlp.c_proj.weight"].T + own[f"{at}mlp.c_proj.bias"]
    x = nn.functional.layer_norm(x[:, -3:], (32,), own["ln_post.weight"], own["ln_post.bias"])
    return x @ own["proj"]


@torch.inference_mode()
def test_style_becomes_tokens_behind_those_of_the_prompt(run: Run, network: StyleAdapter) -> None:
    prompt = [[torch.ones(1, 77, 12), {"strength": 0.5}]]
    ((embedding, options),) = style_model_apply(
        run.context, prompt, StyleModel(network), seen(2), 0.7, "multiply"
    )
    assert embedding.shape == (1, 77 + 2 * 3, 12)
    assert torch.equal(embedding[:, :77], prompt[0][0])
    expected = 0.7 * by_hand(network, seen(2).last_hidden_state).flatten(0, 1)
    torch.testing.assert_close(embedding[0, 77:], expected, rtol=1e-4, atol=1e-4)
    assert options == {"strength": 0.5}


@torch.inference_mode()
def test_what_is_not_for_sd1_is_refused(run: Run, network: StyleAdapter) -> None:
    prompt = [[torch.ones(1, 77, 12), {}]]
    style = StyleModel(network)
    with pytest.raises(UsageError, match="attn_bias"):
        style_model_apply(run.context, prompt, style, seen(), 0.5, "attn_bias")
    found = style_model_apply(run.context, prompt, style, seen(), 1.0, "attn_bias")
    assert torch.equal(
        found[0][0], style_model_apply(run.context, prompt, style, seen(), 1.0, "multiply")[0][0]
    )
    with pytest.raises(UsageError, match="gives 16 numbers a token, and the style model takes 32"):
        style_model_apply(run.context, prompt, style, seen(width=16), 1.0, "multiply")


def test_files(run: Run, network: StyleAdapter) -> None:
    folder = run.settings.home.models / "style_models"
    folder.mkdir(parents=True)
    save_file(network.state_dict(), folder / "style.safetensors")
    loaded = style_model_loader(run.context, "style.safetensors").network
    assert loaded.config == CONFIG
    assert all(torch.equal(loaded.state_dict()[name], own) for name, own in network.state_dict().items())
    save_file({"redux_up.weight": torch.zeros(2, 2)}, folder / "redux.safetensors")
    with pytest.raises(ModelFileError, match=r"style model of Flux \(Redux\)"):
        style_model_loader(run.context, "redux.safetensors")
