from __future__ import annotations

import subprocess
import sys

import torch

from comfykit.models.layers import Embedding


def test_a_table_that_is_to_be_trained_is_filled() -> None:
    torch.manual_seed(0)
    assert Embedding(50, 20).weight.std().item() > 0.5


def test_a_table_without_memory_costs_no_compiler() -> None:
    code = (
        "import sys, torch\n"
        "from comfykit.models.clip_text import ClipText, ClipTextConfig\n"
        "with torch.device('meta'):\n"
        "    ClipText(ClipTextConfig(width=32, heads=1, layers=1, mlp_width=64))\n"
        "sys.stdout.write(str('torch._dynamo' in sys.modules))"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (ended.stdout, ended.stderr) == ("False", "")
