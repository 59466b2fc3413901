from __future__ import annotations

from pathlib import Path

import pytest
import torch
from nodes_support import Run

from comfykit.errors import UsageError
from comfykit.families.gligen import GligenModel
from comfykit.families.load import Checkpoint, load_checkpoint
from comfykit.models.gligen import Gligen, GligenConfig
from comfykit.nodes.gligen import gligen_text_box_apply
from random_weights import CHECKPOINT, CONTEXT_WIDTH


@pytest.fixture
def checkpoint(random_home: Path) -> Checkpoint:
    return load_checkpoint(random_home / "models" / "checkpoints" / CHECKPOINT)


@torch.inference_mode()
def test_boxes_are_told_in_cells_and_add_up(run: Run, checkpoint: Checkpoint) -> None:
    model = GligenModel("boxes", Gligen(GligenConfig(text=CONTEXT_WIDTH)))
    prompt = [["a", {"strength": 0.5}], ["b", {}]]
    clip = checkpoint.clip
    first = gligen_text_box_apply(run.context, prompt, clip, model, "a fox", 64, 128, 16, 24)
    second = gligen_text_box_apply(run.context, first, clip, model, "a hat", 8, 8, 0, 0)
    for _, options in second:
        kind, used, boxes = options["gligen"]
        assert (kind, used) == ("position", model)
        assert [box[1:] for box in boxes] == [(16, 8, 3, 2), (1, 1, 0, 0)]
        assert torch.equal(boxes[0][0], clip.encode("a fox", run.context.residency).pooled)
    assert second[0][1]["strength"] == 0.5
    assert len(first[0][1]["gligen"][2]) == 1
    assert "gligen" not in prompt[0][1]


@torch.inference_mode()
def test_phrases_of_another_text_encoder_are_refused(run: Run, checkpoint: Checkpoint) -> None:
    model = GligenModel("boxes", Gligen(GligenConfig(text=CONTEXT_WIDTH + 1)))
    with pytest.raises(UsageError, match="the GLIGEN model takes"):
        gligen_text_box_apply(run.context, [["a", {}]], checkpoint.clip, model, "a fox", 64, 64, 0, 0)
