"""Teaches the text encoder to read captions before it meets pictures.

Noise of SD 1.x's schedule never hides where the shapes of a picture lie, so that a U-Net has little need
of a text encoder which knows which of two shapes is left of the other, and a text encoder never learns
it from the U-Net's errors. SD 1.x's own text encoder knew what words mean when its U-Net's training began
("Learning Transferable Visual Models From Natural Language Supervision", Radford et al. 2021). This one
learns it from plans of scenes: a reader that sees nothing but the encoder's output tells the colour and
the kind of shape in each cell of a grid. The reader is thrown away.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from captions import caption
from comfykit.models.clip_text import ClipText
from networks import CONTEXT_WIDTH, read_text
from scenes import COLOURS, KINDS, PATTERNS, Scene, random_scene
from training import Draw, Plan, train
from words import Words

PLAN = Plan(steps=2_000, rate=2e-3, warmup=200, average=0.998)
BATCH = 128
GRID = 8
TOKENS = 40  # of a caption that are read: none is longer, and a causal encoder does not look ahead

NOTHING = len(KINDS)  # the kind of cells that no shape covers


class Reader(nn.Module):
    """Tells colour, kind and pattern [B, GRID * GRID, 11 + 8 + 4] of cells from a text [B, tokens, width]."""

    def __init__(self, text: ClipText, layers: int = 2) -> None:
        super().__init__()
        self.text = text
        self.cells = nn.Parameter(0.5 * torch.randn(GRID * GRID, CONTEXT_WIDTH))
        self.layers = nn.ModuleList(
            nn.TransformerDecoderLayer(
                CONTEXT_WIDTH, 4, 2 * CONTEXT_WIDTH, dropout=0.0, batch_first=True, norm_first=True
            )
            for _ in range(layers)
        )
        self.tell = nn.Linear(CONTEXT_WIDTH, len(COLOURS) + len(KINDS) + 1 + len(PATTERNS))

    def forward(self, rows: Tensor) -> Tensor:
        context = read_text(self.text, self.text.embed(rows)[:, :TOKENS])
        cells = self.cells.expand(len(rows), -1, -1)
        for layer in self.layers:
            cells = layer(cells, context)
        told: Tensor = self.tell(cells)
        return told


def plan_of(scene: Scene) -> tuple[Tensor, Tensor, Tensor]:
    """Number of the colour, of the kind and of the pattern in each cell of a scene, each [GRID * GRID]."""
    colours = list(COLOURS)
    middle = (torch.arange(GRID) + 0.5) / GRID
    colour = torch.full((GRID, GRID), colours.index(scene.background))
    kind = torch.full((GRID, GRID), NOTHING)
    for shape in scene.shapes:
        inside = (middle[None] - shape.x).square() + (middle[:, None] - shape.y).square() < shape.radius**2
        colour[inside], kind[inside] = colours.index(shape.colour), KINDS.index(shape.kind)
    pattern = torch.full((GRID * GRID,), PATTERNS.index(scene.pattern))
    return colour.flatten(), kind.flatten(), pattern


def teach_reading(text: ClipText, words: Words, folder: Path, seed: int, device: torch.device) -> None:
    """Train the text encoder to tell what lies where."""
    reader = Reader(text).to(device)

    def loss_of(chances: Draw) -> Tensor:
        scenes = [random_scene(chances.random) for _ in range(BATCH)]
        rows = words.encode([caption(scene, chances.random) for scene in scenes]).to(device)
        plans = [torch.stack(plan).to(device) for plan in zip(*map(plan_of, scenes), strict=True)]
        told = reader(rows).flatten(0, 1).split([len(COLOURS), len(KINDS) + 1, len(PATTERNS)], dim=-1)
        errors = [F.cross_entropy(said, plan.flatten()) for said, plan in zip(told, plans, strict=True)]
        return torch.stack(errors).sum()

    train("reading", reader, PLAN, loss_of, folder, seed)
