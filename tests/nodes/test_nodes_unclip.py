from __future__ import annotations

from pathlib import Path

import pytest
import torch
from nodes_support import Run
from safetensors.torch import save_file

from comfykit.errors import ModelFileError
from comfykit.families.vision import VisionOutput
from comfykit.models.clip_vision import ClipVision, ClipVisionConfig
from comfykit.nodes.clip_vision import clip_vision_encode, clip_vision_loader
from comfykit.nodes.unclip import unclip_checkpoint_loader, unclip_conditioning
from random_weights import CHECKPOINT

SEEN = VisionOutput(torch.zeros(1, 5, 8), torch.zeros(1, 4), torch.ones(1, 5, 8))
CONFIG = ClipVisionConfig(width=64, heads=1, layers=2, mlp_width=96, size=28, patch=14, projection=20)


def test_pictures_are_added_to_those_that_are_there() -> None:
    prompt = [["a", {"strength": 0.5}], ["b", {}]]
    first = unclip_conditioning(prompt, SEEN, 0.7, 0.1)
    second = unclip_conditioning(first, SEEN, -1.0, 0.0)
    expected = [
        {"clip_vision_output": SEEN, "strength": 0.7, "noise_augmentation": 0.1},
        {"clip_vision_output": SEEN, "strength": -1.0, "noise_augmentation": 0.0},
    ]
    assert [options["unclip_conditioning"] for _, options in second] == [expected, expected]
    assert second[0][1]["strength"] == 0.5
    assert [options["unclip_conditioning"] for _, options in first] == [expected[:1], expected[:1]]
    assert "unclip_conditioning" not in prompt[0][1]


def test_without_strength_nothing_changes() -> None:
    prompt = [["a", {}]]
    assert unclip_conditioning(prompt, SEEN, 0.0, 0.5) is prompt


@torch.inference_mode()
def test_a_vision_encoder_from_its_file(run: Run) -> None:
    folder = run.settings.home.models / "clip_vision"
    folder.mkdir(parents=True)
    torch.manual_seed(0)
    tensors = {
        name: 0.2 * torch.randn_like(tensor) for name, tensor in ClipVision(CONFIG).state_dict().items()
    }
    save_file(tensors, folder / "clip.safetensors")
    encoder = clip_vision_loader(run.context, "clip.safetensors")
    image = torch.rand(1, 30, 60, 3)
    center, none = (clip_vision_encode(run.context, encoder, image, crop) for crop in ("center", "none"))
    middle = clip_vision_encode(run.context, encoder, image[:, :, 15:45], "none")
    torch.testing.assert_close(center.image_embeds, middle.image_embeds, rtol=0.05, atol=0.05)
    assert not torch.allclose(center.image_embeds, none.image_embeds, rtol=0.05, atol=0.05)


def test_a_plain_checkpoint_is_refused(run: Run, random_home: Path) -> None:
    folder = run.settings.home.models / "checkpoints"
    folder.mkdir(parents=True)
    (folder / "plain.safetensors").symlink_to(random_home / "models" / "checkpoints" / CHECKPOINT)
    with pytest.raises(ModelFileError, match="no unCLIP checkpoint"):
        unclip_checkpoint_loader(run.context, "plain.safetensors")
