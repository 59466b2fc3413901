"""What tests of the workflows of `workflows/` share: which there are, and how to read them."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

ROOT = Path(__file__).parents[1]
WORKFLOWS = ROOT / "workflows"
INPUT = WORKFLOWS / "input"

# Sizes of the pictures that each makes, in the order of saving.
PICTURES: dict[str, list[tuple[int, int]]] = {
    "batch-contact-sheet": [(128, 128)] * 6 + [(3 * 128 + 2 * 4, 2 * 128 + 4)],
    "controlnet": [(128, 128)],
    "hires-fix": [(256, 256)],
    "image-to-image": [(128, 128)],
    "inpainting": [(128, 128)],
    "lora": [(128, 128)],
    "post-processing": [(128 + 8 + 128, 128)],
    "text-to-image": [(128, 128)],
    "two-regions": [(192, 192)],
    "upscaling": [(256, 256)],
}
FORMS = [f"{name}{suffix}" for name in PICTURES for suffix in (".json", ".api.json")]


def load_tool(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, ROOT / "tools" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def read_json(name: str) -> Any:
    return json.loads((WORKFLOWS / name).read_text(encoding="utf-8"))
