from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from comfykit.errors import ModelFileError, UsageError
from comfykit.families.conditioning import to_link
from comfykit.families.gligen import GligenModel, load_gligen
from comfykit.families.guiders import CFGGuider, sample
from comfykit.families.load import Checkpoint
from comfykit.memory import Residency
from comfykit.models.attention import SpatialTransformer
from comfykit.models.gligen import Gligen, GligenConfig, fuser_path
from comfykit.models.unet import UNet
from comfykit.sampling.denoiser import Evaluation
from comfykit.sampling.latent_noise import RandomNoise
from comfykit.sampling.samplers import find_sampler
from comfykit.sampling.schedulers import make_sigmas

TEXT = 12
LATENT = torch.randn(1, 4, 8, 12, generator=torch.Generator().manual_seed(1))


def places(unet: UNet) -> dict[tuple[Any, int, int], int]:
    """Every transformer block of a U-Net and its width."""
    found: dict[tuple[Any, int, int], int] = {}
    for kind, blocks in (
        ("input", unet.input_blocks),
        ("middle", [unet.middle_block]),
        ("output", unet.output_blocks),
    ):
        for number, block in enumerate(blocks):
            for layer in block.children():
                if isinstance(layer, SpatialTransformer):
                    widths = [one.norm1.weight.shape[0] for one in layer.transformer_blocks]
                    found |= {(kind, number, index): width for index, width in enumerate(widths)}
    return found


@pytest.fixture
def gligen(checkpoint: Checkpoint) -> GligenModel:
    network = Gligen(GligenConfig(places(checkpoint.model.network), TEXT, 8, 16, 24))
    generator = torch.Generator().manual_seed(0)
    for tensor in network.parameters():
        noise = torch.randn(tensor.shape, generator=generator)
        tensor.data = noise / tensor[0].numel() ** 0.5 if tensor.dim() > 1 else 0.5 + 0.1 * noise
    return GligenModel("boxes", network.eval().requires_grad_(False))


def phrase(seed: int, width: int = TEXT) -> Tensor:
    return torch.randn(1, width, generator=torch.Generator().manual_seed(seed))


def grounded(prompt: list[list[Any]], gligen: GligenModel, *boxes: Any) -> list[list[Any]]:
    return [
        [embedding, {**options, "gligen": ("position", gligen, list(boxes))}] for embedding, options in prompt
    ]


BOX = (phrase(3), 4, 6, 2, 3)


class WithFuser(nn.Module):
    """A transformer block as the paper draws it, figure 3: the gated attention between the other two."""

    def __init__(self, block: nn.Module, fuser: nn.Module, tokens: Tensor) -> None:
        super().__init__()
        self.block, self.fuser, self.tokens = block, fuser, tokens

    def forward(self, x: Tensor, context: Tensor, hooked: object = None) -> Tensor:
        block = self.block
        x = x + block.attn1(block.norm1(x))
        x = self.fuser(x, self.tokens.expand(x.shape[0], -1, -1))
        x = x + block.attn2(block.norm2(x), context)
        return x + block.ff(block.norm3(x))  # type: ignore[no-any-return]


def test_the_network_attends_to_the_boxes(
    checkpoint: Checkpoint, gligen: GligenModel, residency: Residency
) -> None:
    model, unet = checkpoint.model, checkpoint.model.network
    (grounding,) = from_link_of(grounded(prompt_of(checkpoint, residency), gligen, BOX), checkpoint)
    call = Evaluation(LATENT, torch.tensor([2.0]), grounding.embedding, {}, grounding=grounding.grounding)
    found = model.predictor(residency)(call)
    plain = model.predictor(residency)(replace(call, grounding=None))
    assert not torch.allclose(found, plain, rtol=1e-2, atol=1e-2)

    box = torch.tensor([[3 / 12, 2 / 8, 9 / 12, 6 / 8]])  # left, top, right, bottom
    tokens = gligen.network.position_net(box, BOX[0])
    for kind, number, index in gligen.network.config.fusers:
        path = fuser_path((kind, number, index)).removesuffix(f".{index}.fuser")
        blocks = unet.get_submodule(path)
        fuser = gligen.network.fuser((kind, number, index))
        assert isinstance(blocks, nn.ModuleList)
        assert fuser is not None
        blocks[index] = WithFuser(blocks[index], fuser, tokens)
    expected = model.predictor(residency)(replace(call, grounding=None))
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-3)


def prompt_of(checkpoint: Checkpoint, residency: Residency) -> list[list[Any]]:
    return to_link(checkpoint.clip.encode("a fox", residency))


def from_link_of(prompt: list[list[Any]], checkpoint: Checkpoint) -> list[Any]:
    from comfykit.families.conditioning import from_link
    from comfykit.families.family import Scene

    model = checkpoint.model
    scene = Scene(LATENT, LATENT, None, model.network.config, model.family.latent_format)
    return from_link(prompt, model, 0, scene)


def test_only_the_side_with_boxes_follows_them(
    checkpoint: Checkpoint, gligen: GligenModel, residency: Residency
) -> None:
    plain = prompt_of(checkpoint, residency)
    boxed = grounded(plain, gligen, BOX)
    samples = torch.zeros_like(LATENT)

    def run(positive: Any, negative: Any, cfg: float) -> Tensor:
        return sample(
            CFGGuider(checkpoint.model, positive, negative, cfg),
            residency,
            samples=samples,
            noise=RandomNoise(3).generate_noise({"samples": samples}),
            sampler=find_sampler("euler"),
            sigmas=make_sigmas(checkpoint.model.levels, "normal", 2),
            seed=3,
        ).samples

    # At a guidance of 0 the positive side counts for nothing, at 1 the negative one.
    torch.testing.assert_close(run(boxed, plain, 1e-9), run(plain, plain, 1.0), rtol=1e-3, atol=1e-3)
    assert not torch.allclose(run(boxed, plain, 1.0), run(plain, plain, 1.0), rtol=1e-2, atol=1e-2)
    torch.testing.assert_close(run(boxed, boxed, 3.0), run(boxed, boxed, 1.0), rtol=1e-3, atol=1e-3)


def test_what_does_not_fit_is_refused(
    checkpoint: Checkpoint, gligen: GligenModel, residency: Residency
) -> None:
    prompt = prompt_of(checkpoint, residency)
    with pytest.raises(UsageError, match="31 boxes are too many"):
        from_link_of(grounded(prompt, gligen, *[BOX] * 31), checkpoint)
    with pytest.raises(UsageError, match="encoded in 9 numbers, and the GLIGEN model takes 12"):
        from_link_of(grounded(prompt, gligen, (phrase(1, 9), 1, 1, 0, 0)), checkpoint)
    other = GligenModel("other", Gligen(GligenConfig({("input", 1, 0): 8}, TEXT)))
    with pytest.raises(ModelFileError, match=r"other does not fit the model at input_blocks\.1\.1"):
        from_link_of(grounded(prompt, other, BOX), checkpoint)


@pytest.mark.parametrize("prefix", ["", "model.diffusion_model."])
def test_files(gligen: GligenModel, tmp_path: Path, prefix: str) -> None:
    tensors = {prefix + name: tensor.half() for name, tensor in gligen.network.state_dict().items()}
    beside = {f"{prefix}input_blocks.0.0.weight": torch.zeros(1), f"{prefix}out.0.bias": torch.zeros(1)}
    save_file({**tensors, **beside}, tmp_path / "boxes.safetensors")
    found = load_gligen(tmp_path / "boxes.safetensors")
    assert found.name == "boxes.safetensors"
    assert found.network.config == gligen.network.config
    assert found.network.state_dict().keys() == gligen.network.state_dict().keys()


def test_other_files_are_refused(tmp_path: Path, checkpoint_path: Path) -> None:
    with pytest.raises(ModelFileError, match="this is a checkpoint, not a GLIGEN model"):
        load_gligen(checkpoint_path)
    save_file({"position_net.null_image_feature": torch.zeros(3)}, tmp_path / "image.safetensors")
    with pytest.raises(ModelFileError, match="not one of phrases in boxes"):
        load_gligen(tmp_path / "image.safetensors")
