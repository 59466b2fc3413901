from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from comfykit.errors import Interrupted, ModelFileError, UsageError
from comfykit.events import Event, OutputSaved, RunStarted
from comfykit.home import PACKAGED
from comfykit.services import demo
from comfykit.services.demo import Choices, DemoPicture, choose_place, demo_settings, demo_workflow
from comfykit.workflow.read import read_workflow

ROOT = Path(__file__).parents[2]


def make(
    output: Path | None = None, *, replacing: bool = False, report: Callable[[Event], None], **choices: Any
) -> DemoPicture:
    """A picture of two steps."""
    place = choose_place(output, replacing=replacing)
    workflow = demo_workflow(Choices(**{"steps": 2, **choices}))
    return demo.make_picture(workflow, place, demo_settings(place), report)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, empty."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_picture_in_the_current_folder_and_nothing_else(here: Path) -> None:
    events: list[Event] = []
    picture = make(prompt="a green star, (a fox:1.2)", seed=3, report=events.append)
    assert [path.name for path in here.iterdir()] == ["comfykit-demo.png"]
    assert (picture.path, picture.seed, picture.steps) == (Path("comfykit-demo.png"), 3, 2)
    assert picture.unknown == ("fox",)
    with Image.open(picture.path) as opened:
        assert (opened.format, opened.size) == ("PNG", (128, 128))
    saved = [event for event in events if isinstance(event, OutputSaved)]
    assert [event.ui["images"] for event in saved] == [
        [{"filename": "comfykit-demo.png", "subfolder": "", "type": "output"}]
    ]
    assert any(isinstance(event, RunStarted) for event in events)


def test_one_thread_draws_and_the_others_come_back(here: Path) -> None:
    """Threads that wait for one another on a busy machine take several times as long."""
    before, seen = torch.get_num_threads(), list[int]()
    torch.set_num_threads(2)
    try:
        make(report=lambda event: seen.append(torch.get_num_threads()))
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
    assert set(seen[:-1]) == {1}


def test_the_picture_carries_its_workflow(here: Path) -> None:
    make(prompt="a blue ring", negative="red", seed=5, cfg=3.0, report=lambda event: None)
    prompt = read_workflow("comfykit-demo.png").prompt
    assert prompt == demo_workflow(Choices("a blue ring", "red", 5, 2, 3.0)).prompt
    assert [prompt[node]["inputs"]["text"] for node in "23"] == ["a blue ring", "red"]
    assert {name: prompt["5"]["inputs"][name] for name in ("seed", "steps", "cfg")} == {
        "seed": 5,
        "steps": 2,
        "cfg": 3.0,
    }


def test_names_that_are_free(here: Path) -> None:
    names = [make(report=lambda event: None).path.name for _ in range(3)]
    assert names == ["comfykit-demo.png", "comfykit-demo-2.png", "comfykit-demo-3.png"]
    assert Path(names[0]).read_bytes() == Path(names[2]).read_bytes()


def test_a_file_is_replaced_where_that_is_asked_for_alone(here: Path) -> None:
    target = here / "mine.PNG"
    target.write_text("precious")
    with pytest.raises(UsageError, match=r"mine\.PNG is there already") as caught:
        choose_place(target)
    assert "--force" in (caught.value.hint or "")
    assert target.read_text() == "precious"
    make(target, replacing=True, report=lambda event: None)
    with Image.open(target) as opened:
        assert opened.size == (128, 128)


def test_a_file_that_appears_meanwhile_is_not_replaced(here: Path) -> None:
    target = here / "mine.png"

    def report(event: Event) -> None:
        if isinstance(event, RunStarted):
            target.write_text("precious")

    with pytest.raises(UsageError, match="is there already"):
        make(target, report=report)
    assert [path.name for path in here.iterdir()] == ["mine.png"]
    assert target.read_text() == "precious"


def test_a_picture_that_is_interrupted_leaves_nothing(here: Path) -> None:
    place = choose_place()
    with pytest.raises(Interrupted):
        demo.make_picture(demo_workflow(), place, demo_settings(place), stopped=lambda: True)
    assert list(here.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("picture.jpg", "does not end with .png"),
        ("picture", "does not end with .png"),
        (".", "is a folder"),
        ("x" * 300 + ".png", "cannot be written: File name too long"),
        ("~nobody_has_this_name/x.png", "not known"),
    ],
)
def test_names_that_no_picture_can_have(here: Path, name: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        choose_place(Path(name))
    assert said in str(caught.value)


@pytest.mark.parametrize("folder", ["/proc", "absent", "a_file"])
def test_folders_that_cannot_be_written_to(here: Path, folder: str) -> None:
    (here / "a_file").touch()
    with pytest.raises(UsageError, match=r"x\.png cannot be written: ") as caught:
        make(Path(folder) / "x.png", report=lambda event: None)
    assert "-o FILE" in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("choices", "said"),
    [
        (Choices(steps=0), "--steps 0 is not"),
        (Choices(steps=10_001), "--steps 10001 is not"),
        (Choices(cfg=-1.0), "--cfg -1.0 is not"),
        (Choices(cfg=math.nan), "--cfg nan is not"),
        (Choices(cfg=math.inf), "--cfg inf is not"),
        (Choices(seed=-1), "--seed -1 is not"),
        (Choices(seed=2**64), "is not a whole number from 0 to"),
        (Choices(prompt="\udcff"), "the prompt '\\udcff' is not UTF-8"),
        (Choices(negative="\udcff"), "the --negative '\\udcff' is not UTF-8"),
    ],
)
def test_choices_that_make_no_picture(choices: Choices, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        demo_workflow(choices)
    assert said in str(caught.value)


def test_a_package_without_the_model(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "CHECKPOINT", here / "demo.safetensors")
    with pytest.raises(ModelFileError, match="is not there") as caught:
        make(report=lambda event: None)
    assert caught.value.hint == "install comfykit again"


def test_the_home_of_the_demo_is_the_package() -> None:
    home = demo_settings(choose_place()).home
    assert home.models == PACKAGED
    assert home.find("checkpoints", "demo.safetensors") == demo.CHECKPOINT


def test_the_readme_shows_what_is_drawn_unasked() -> None:
    inputs = demo_workflow().prompt[demo.POSITIVE]["inputs"]
    assert inputs["text"] in (ROOT / "README.md").read_text(encoding="utf-8")


def test_a_picture_needs_no_compiler(here: Path) -> None:
    """Importing PyTorch's compiler would be a quarter of what the command takes."""
    code = (
        "import sys\n"
        "from comfykit.services.demo import *\n"
        "place = choose_place()\n"
        "make_picture(demo_workflow(Choices(steps=1)), place, demo_settings(place))\n"
        "sys.stdout.write(str(sorted({'torch._dynamo', 'transformers', 'scipy'} & set(sys.modules))))"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (ended.stdout, ended.stderr) == ("[]", "")
