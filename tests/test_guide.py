"""Every workflow of the guide runs as it is, on tiny models under the names of the real ones."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
from PIL import Image

import comfykit
import tiny_models

GUIDE = Path(__file__).parents[1] / "docs" / "guide"
WORKFLOWS = sorted((GUIDE / "workflows").glob("*.json"))
SMALL = {"EmptyLatentImage": {"width": 64, "height": 64}}
STEPS = {"KSampler": {"steps": 2}, "KSamplerAdvanced": {"steps": 4}}
SPLIT = {"end_at_step": 2, "start_at_step": 2}


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> comfykit.Engine:
    home = tmp_path_factory.mktemp("guide")
    tiny_models.write_models(home / "models")
    pixels = (torch.rand(64, 64, 4, generator=torch.Generator().manual_seed(1)) * 255).byte().numpy()
    (home / "input").mkdir()
    Image.fromarray(pixels[..., :3]).save(home / "input" / "photo.png")
    Image.fromarray(pixels).save(home / "input" / "photo_with_hole.png")
    return comfykit.Engine(home=home, device="cpu", precision="fp32")


def small(workflow: comfykit.Workflow) -> comfykit.Workflow:
    """The workflow with fewer pixels and steps; nothing else is changed."""
    values: dict[str, object] = {}
    for key, node in workflow.prompt.items():
        changes = {**SMALL, **STEPS}.get(node["class_type"], {})
        values |= {f"{key}.{name}": value for name, value in changes.items()}
        # A schedule that two samplers share is split where the small one has its middle.
        values |= {f"{key}.{name}": at for name, at in SPLIT.items() if node["inputs"].get(name) == 20}
    return workflow.set(values)


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_the_workflow_runs(engine: comfykit.Engine, path: Path) -> None:
    workflow = comfykit.Workflow.load(path)
    assert engine.check(workflow) == ()
    (picture,) = engine.run(small(workflow)).images()
    low, high = picture.convert("L").getextrema()
    assert low < high, "a picture of one colour"
    assert path.stem in next(iter(engine.run(small(workflow)).files)).name


def test_every_task_has_a_page_and_a_workflow() -> None:
    listed = set(re.findall(r"\]\(([\w-]+)\.md\)", (GUIDE / "README.md").read_text(encoding="utf-8")))
    pages = {path.stem for path in GUIDE.glob("*.md")} - {"README"}
    assert listed == pages
    assert {path.stem for path in WORKFLOWS} == pages - {"from-python"}


def test_the_python_of_the_page_runs(
    engine: comfykit.Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = (GUIDE / "from-python.md").read_text(encoding="utf-8")
    first, second = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COMFYKIT_HOME", str(engine.settings.home.root))
    workflow = GUIDE / "workflows" / "text-to-image.json"
    small(comfykit.Workflow.load(workflow)).save("small.json")
    program = first.replace('home="~/comfykit"', "").replace(
        f"docs/guide/workflows/{workflow.name}", "small.json"
    )
    names: dict[str, object] = {}
    exec(program + second, names)
    assert len(list(tmp_path.glob("fox_*.png"))) == 4
    assert isinstance(names["engine"], comfykit.Engine)
