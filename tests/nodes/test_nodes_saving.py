from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from nodes_support import Run
from PIL import Image
from safetensors import safe_open
from safetensors.torch import save_file

from comfykit.errors import UsageError
from comfykit.nodes.folders import use_folders
from comfykit.nodes.saving import (
    check_latent,
    latent_digest,
    load_latent,
    preview_image,
    save_image,
    save_latent,
)
from comfykit.workflow.read import read_workflow

PROMPT = {"6": {"class_type": "CLIPTextEncode", "inputs": {"text": '狐 é 🦊 \\ " \n', "clip": ["4", 1]}}}
EXTRA = {"workflow": {"nodes": [{"title": "Füchse"}], "links": []}}


def pictures(count: int = 1) -> torch.Tensor:
    return torch.rand(count, 4, 6, 3, generator=torch.Generator().manual_seed(0))


# Pictures


def test_save_image(run: Run) -> None:
    images = pictures(2)
    made = save_image(images, "sub/fox_%width%x%height%", run.context)
    names = ["fox_6x4_00001_.png", "fox_6x4_00002_.png"]
    assert made.ui == {"images": [{"filename": name, "subfolder": "sub", "type": "output"} for name in names]}
    for image, name in zip(images, names, strict=True):
        with Image.open(run.settings.output_dir / "sub" / name) as picture:
            assert picture.mode == "RGB"
            assert np.array_equal(np.asarray(picture), (image * 255).to(torch.uint8).numpy())


def test_a_saved_picture_is_a_workflow(run: Run) -> None:
    save_image(pictures(), "x", run.context, PROMPT, EXTRA)
    workflow = read_workflow(run.settings.output_dir / "x_00001_.png")
    assert (workflow.prompt, workflow.extra_pnginfo) == (PROMPT, EXTRA)


def test_texts_are_written_as_recorded(run: Run, shared: Path) -> None:
    """Byte for byte the chunk that ComfyUI wrote for this prompt."""
    expected = shared / "parity/cases/image_invert/expected/image_00001_.png"
    with Image.open(expected) as picture:
        said = picture.text["prompt"]  # type: ignore[attr-defined]
    save_image(pictures(), "x", run.context, json.loads(said))
    assert b"tEXtprompt\0" + said.encode() in (run.settings.output_dir / "x_00001_.png").read_bytes()


def test_without_workflow_there_are_no_texts(run: Run) -> None:
    save_image(pictures(), "x", run.context)
    with Image.open(run.settings.output_dir / "x_00001_.png") as picture:
        assert picture.text == {}  # type: ignore[attr-defined]


def test_saving_goes_on_counting(run: Run) -> None:
    save_image(pictures(), "x", run.context)
    (run.settings.output_dir / "x_00005_.latent").touch()
    made = save_image(pictures(2), "x", run.context)
    assert [file["filename"] for file in made.ui["images"]] == ["x_00006_.png", "x_00007_.png"]


def test_batch_numbers(run: Run) -> None:
    made = save_image(pictures(2), "x%batch_num%", run.context)
    assert [file["filename"] for file in made.ui["images"]] == ["x0_00001_.png", "x1_00002_.png"]


def test_a_prefix_that_leads_out(run: Run, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="leads out"):
        save_image(pictures(), "../x", run.context)
    assert [entry.name for entry in tmp_path.iterdir()] == ["input"]


def test_values_that_are_no_numbers_are_told_of(run: Run) -> None:
    save_image(torch.full((1, 2, 2, 3), float("nan")), "x", run.context)
    assert "not numbers" in run.warnings[0]
    with Image.open(run.settings.output_dir / "x_00001_.png") as picture:
        assert not np.asarray(picture).any()


def test_a_tensor_that_is_no_picture(run: Run) -> None:
    for shape in ((4, 6, 3), (1, 4, 6, 2)):
        with pytest.raises(UsageError, match="is no picture"):
            save_image(torch.zeros(shape), "x", run.context)
    assert not list(run.settings.output_dir.glob("*"))


def test_a_text_whose_name_a_png_cannot_hold(run: Run) -> None:
    save_image(pictures(), "x", run.context, PROMPT, {"狐": 1, **EXTRA})
    assert run.warnings == ["'狐' cannot name a text in a PNG; the picture is saved without it"]
    assert read_workflow(run.settings.output_dir / "x_00001_.png").extra_pnginfo == EXTRA


def test_preview_image(run: Run) -> None:
    first = preview_image(pictures(2), run.context, PROMPT).ui["images"]
    second = preview_image(pictures(), run.context, PROMPT).ui["images"]
    assert {file["type"] for file in [*first, *second]} == {"temp"}
    paths = [run.settings.temp_dir / file["subfolder"] / file["filename"] for file in [*first, *second]]
    assert len(set(paths)) == 3
    assert all(read_workflow(path).prompt == PROMPT for path in paths)
    assert not run.settings.output_dir.exists()


# Latents


def test_save_latent(run: Run) -> None:
    samples = torch.randn(2, 8, 8, 4).movedim(-1, 1).to(torch.bfloat16)
    made = save_latent({"samples": samples}, "latents/fox", run.context, PROMPT, EXTRA)
    file = {"filename": "fox_00001_.latent", "subfolder": "latents", "type": "output"}
    assert made.ui == {"latents": [file]}
    with safe_open(run.settings.output_dir / "latents/fox_00001_.latent", "pt") as saved:
        assert torch.equal(saved.get_tensor("latent_tensor"), samples.float())
        assert saved.get_tensor("latent_format_version_0").shape == (0,)
        said = saved.metadata()
    assert {name: json.loads(text) for name, text in said.items()} == {"prompt": PROMPT, **EXTRA}


def test_save_latent_without_workflow(run: Run) -> None:
    save_latent({"samples": torch.zeros(1, 4, 8, 8)}, "x", run.context)
    with safe_open(run.settings.output_dir / "x_00001_.latent", "pt") as saved:
        assert not saved.metadata()


def test_latent_files_look_as_recorded(run: Run, shared: Path) -> None:
    """The whole file, header and all, is what ComfyUI wrote for this latent and prompt."""
    expected = shared / "parity/cases/prompt_unicode/expected/latent_00001_.latent"
    with safe_open(expected, "pt") as file:
        samples, prompt = file.get_tensor("latent_tensor"), json.loads(file.metadata()["prompt"])
    save_latent({"samples": samples}, "x", run.context, prompt)
    assert (run.settings.output_dir / "x_00001_.latent").read_bytes() == expected.read_bytes()


def test_a_latent_comes_back(run: Run) -> None:
    samples = torch.randn(1, 4, 8, 8)
    save_latent({"samples": samples}, "x", run.context)
    assert torch.equal(load_latent("x_00001_.latent [output]", run.context)["samples"], samples)


def test_a_latent_without_version_is_scaled(run: Run) -> None:
    samples = torch.randn(1, 4, 8, 8)
    save_file({"latent_tensor": samples.half()}, run.settings.input_dir / "old.latent")
    found = load_latent("old.latent", run.context)["samples"]
    torch.testing.assert_close(found, samples.half().float() / 0.18215)


def test_what_is_no_latent(run: Run) -> None:
    (run.settings.input_dir / "a.latent").write_bytes(b"<!doctype html>")
    save_file({"other": torch.zeros(1)}, run.settings.input_dir / "b.latent")
    for name in ("a", "b"):
        with pytest.raises(UsageError, match=rf"{name}\.latent is not a latent file"):
            load_latent(f"{name}.latent", run.context)


def test_check_latent(run: Run) -> None:
    for name in ("a.latent", "a.png"):
        (run.settings.input_dir / name).write_bytes(b"x")
    with use_folders(run.settings):
        assert check_latent("a.latent") is True
        assert check_latent("a.latent [input]") is True
        assert check_latent("a.png") == "'a.png' is not the name of a .latent file"
        assert "did you mean a.latent?" in str(check_latent("b.latent"))
        assert check_latent(None) is True
        assert latent_digest("a.latent")
