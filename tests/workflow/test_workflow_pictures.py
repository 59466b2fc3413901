"""Workflows in pictures, written by Pillow as savers do."""

from __future__ import annotations

import contextlib
import io
import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from ui_files import INTERFACES, small
from workflow_files import sample

from comfykit.errors import WorkflowError
from comfykit.workflow.read import Workflow, read_workflow

MAKE, MODEL, DESCRIPTION, EXIF, COMMENT = 0x010F, 0x0110, 0x010E, 0x8769, 0x9286
FRAMES = [Image.new("RGB", (64, 48), colour) for colour in ("red", "green")]


def saved(folder: Path, kind: str, tags: dict[int, Any], **options: Any) -> Path:
    exif = Image.Exif()
    for tag, value in tags.items():
        if tag == COMMENT:
            exif.get_ifd(EXIF)[tag] = value
        else:
            exif[tag] = value
    path = folder / f"picture.{kind}"
    FRAMES[0].save(path, exif=exif, **options)
    return path


def read(path: Path) -> Workflow:
    return read_workflow(path, lambda: INTERFACES)


def both() -> dict[int, str]:
    return {MODEL: f"prompt:{json.dumps(sample())}", MAKE: f"workflow:{json.dumps(small())}"}


@pytest.mark.parametrize("kind", ["webp", "jpg"])
def test_the_api_form_is_taken_and_the_other_travels_along(tmp_path: Path, kind: str) -> None:
    assert read(saved(tmp_path, kind, both())) == Workflow(f"picture.{kind}", sample(), {"workflow": small()})


@pytest.mark.parametrize("kind", ["webp", "jpg"])
def test_the_ui_form_alone_is_converted(tmp_path: Path, kind: str) -> None:
    workflow = read(saved(tmp_path, kind, {MAKE: f"Workflow: {json.dumps(small())}"}))
    assert list(workflow.prompt) == ["3", "4", "9"]
    assert workflow.extra_pnginfo == {"workflow": small()}


@pytest.mark.parametrize("tag", [DESCRIPTION, COMMENT])
def test_other_tags_that_savers_use(tmp_path: Path, tag: int) -> None:
    text = f"prompt:{json.dumps(sample())}"
    assert read(saved(tmp_path, "webp", {tag: text})).prompt == sample()


@pytest.mark.parametrize("mark", [b"ASCII\0\0\0", b"\0" * 8])
def test_comments_name_their_encoding(tmp_path: Path, mark: bytes) -> None:
    assert read(saved(tmp_path, "jpg", {COMMENT: mark + json.dumps(sample()).encode()})).prompt == sample()


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_comments_in_utf_16(tmp_path: Path, encoding: str) -> None:
    prompt = sample()
    prompt["6"]["inputs"]["text"] = "狐"
    text = b"UNICODE\0" + json.dumps(prompt, ensure_ascii=False).encode(encoding)
    assert read(saved(tmp_path, "jpg", {COMMENT: text})).prompt == prompt


def test_a_text_without_a_label_may_hold_both(tmp_path: Path) -> None:
    text = json.dumps({"prompt": sample(), "workflow": small()})
    assert read(saved(tmp_path, "webp", {DESCRIPTION: text})).extra_pnginfo == {"workflow": small()}


def test_an_animated_webp_has_it_behind_its_pictures(tmp_path: Path) -> None:
    path = saved(tmp_path, "webp", both(), save_all=True, append_images=FRAMES[1:])
    assert b"ANMF" in path.read_bytes()
    assert read(path).prompt == sample()


def test_an_animated_png_has_chunks_of_its_own(tmp_path: Path) -> None:
    info = PngInfo()
    for key, value in (("prompt", sample()), ("workflow", small())):
        info.add(b"comf", key.encode() + b"\0" + json.dumps(value).encode(), after_idat=True)
    path = tmp_path / "moving.png"
    FRAMES[0].save(path, pnginfo=info, save_all=True, append_images=FRAMES[1:])
    assert read(path) == Workflow("moving.png", sample(), {"workflow": small()})


def test_a_png_with_the_ui_form_alone(tmp_path: Path) -> None:
    info = PngInfo()
    info.add_text("workflow", json.dumps(small()), zip=True)
    path = tmp_path / "p.png"
    FRAMES[0].save(path, pnginfo=info)
    assert list(read(path).prompt) == ["3", "4", "9"]


def test_a_prompt_that_is_none_gives_way_to_the_workflow(tmp_path: Path) -> None:
    info = PngInfo()
    info.add_text("prompt", "a fox in the snow")
    info.add_text("workflow", json.dumps(small()))
    path = tmp_path / "p.png"
    FRAMES[0].save(path, pnginfo=info)
    assert list(read(path).prompt) == ["3", "4", "9"]


@pytest.mark.parametrize("kind", ["webp", "jpg", "png"])
def test_pictures_without_a_workflow(tmp_path: Path, kind: str) -> None:
    FRAMES[0].save(tmp_path / f"p.{kind}")
    with pytest.raises(WorkflowError, match=rf"p\.{kind}: the picture carries no workflow"):
        read(tmp_path / f"p.{kind}")


@pytest.mark.parametrize("kind", ["webp", "jpg"])
def test_pictures_that_are_cut_off_anywhere(tmp_path: Path, kind: str) -> None:
    whole = saved(tmp_path, kind, both()).read_bytes()
    path = tmp_path / "cut"
    for length in range(3, len(whole), 7):
        path.write_bytes(whole[:length])
        try:
            workflow = read(path)
        except WorkflowError:
            continue
        assert workflow.prompt == sample(), "only what follows the text may be missing"


@pytest.mark.parametrize("kind", ["webp", "jpg"])
def test_exif_that_is_damaged_anywhere(tmp_path: Path, kind: str) -> None:
    whole = bytearray(saved(tmp_path, kind, both()).read_bytes())
    path = tmp_path / "bad"
    begin = whole.index(b"II*\0" if b"II*\0" in whole else b"MM\0*")
    for place in range(begin, min(begin + 60, len(whole))):
        for value in (0, 0xFF):
            path.write_bytes(whole[:place] + bytes([value]) + whole[place + 1 :])
            with contextlib.suppress(WorkflowError):
                read(path)


def test_other_pictures(tmp_path: Path) -> None:
    FRAMES[0].save(tmp_path / "p.gif")
    with pytest.raises(WorkflowError, match="a GIF; of pictures only PNG, WebP and JPEG"):
        read(tmp_path / "p.gif")


def test_a_pipe_cannot_go_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Pipe(io.BytesIO):
        def seekable(self) -> bool:
            return False

    path = saved(tmp_path, "webp", both(), save_all=True, append_images=FRAMES[1:])
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(Pipe(path.read_bytes())))
    assert read_workflow("-").prompt == sample()
