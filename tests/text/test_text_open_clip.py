from __future__ import annotations

import torch
from torch import Tensor

from comfykit.models.clip_text import ClipText, ClipTextConfig
from comfykit.text.open_clip import from_open_clip, to_open_clip

CONFIG = ClipTextConfig(
    width=8, heads=2, layers=2, mlp_width=16, vocabulary=11, positions=5, activation="gelu", projection=6
)


def encoder() -> dict[str, Tensor]:
    torch.manual_seed(0)
    return dict(ClipText(CONFIG).state_dict())


def test_there_and_back_every_tensor_is_the_same() -> None:
    ours = encoder()
    theirs = {}
    for name, stacked in to_open_clip(ours).items():
        tensor = torch.cat([ours[part] for part in stacked.parts])
        theirs[name] = tensor.T if stacked.transposed else tensor
    again = from_open_clip(theirs)
    assert again.keys() == ours.keys()
    assert all(torch.equal(again[name], tensor) for name, tensor in ours.items())


def test_the_names_are_those_of_open_clip() -> None:
    names = set(to_open_clip(encoder()))
    assert {name for name in names if "resblocks" not in name} == {
        "token_embedding.weight",
        "positional_embedding",
        "ln_final.weight",
        "ln_final.bias",
        "text_projection",
    }
    first = "transformer.resblocks.0."
    assert {name.removeprefix(first) for name in names if name.startswith(first)} == {
        "ln_1.weight",
        "ln_1.bias",
        "attn.in_proj_weight",
        "attn.in_proj_bias",
        "attn.out_proj.weight",
        "attn.out_proj.bias",
        "ln_2.weight",
        "ln_2.bias",
        "mlp.c_fc.weight",
        "mlp.c_fc.bias",
        "mlp.c_proj.weight",
        "mlp.c_proj.bias",
    }


def test_queries_keys_and_values_lie_in_one_matrix_in_that_order() -> None:
    stacked = to_open_clip(encoder())["transformer.resblocks.1.attn.in_proj_weight"]
    own = "encoder.layers.1.self_attn."
    assert stacked.parts == (f"{own}q_proj.weight", f"{own}k_proj.weight", f"{own}v_proj.weight")
