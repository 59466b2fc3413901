from __future__ import annotations

from pathlib import Path

import pytest

from comfykit.engine.schema import Missing
from comfykit.errors import UsageError
from comfykit.nodes.builtin import builtin_registry
from comfykit.services.environment import HomeEnvironment
from comfykit.services.nodes import all_classes, find_class, input_rows, object_info, outputs_line
from comfykit.settings import resolve


class OneFile:
    def choices(self, folder: str) -> list[str]:
        return ["one.safetensors"]

    def missing(self, folder: str, name: str) -> Missing:
        return Missing(name)


def test_every_class_says_what_it_does() -> None:
    assert [entry.name for entry in builtin_registry() if not entry.description] == []


def test_classes_are_found_by_part_of_a_name_by_pattern_and_by_category() -> None:
    assert "KSampler" in [entry.name for entry in all_classes("ksamp")]
    assert "KSampler" not in [entry.name for entry in all_classes("image*")]
    assert {entry.category.split("/")[0] for entry in all_classes(category="latent")} == {"latent"}


def test_a_misspelt_class_is_answered_with_the_nearest() -> None:
    with pytest.raises(UsageError) as caught:
        find_class("KSampelr")
    assert "KSampler" in (caught.value.hint or "")


def test_inputs_are_told_with_defaults_and_ranges() -> None:
    rows = {row.name: row for row in input_rows(find_class("KSampler"))}
    assert (rows["steps"].type, rows["steps"].default, rows["steps"].allowed) == ("INT", "20", "1 to 10000")
    assert rows["model"].allowed == "a link"
    assert "karras" in rows["scheduler"].allowed
    assert outputs_line(find_class("CheckpointLoaderSimple")) == "MODEL, CLIP, VAE"


def test_object_info_has_the_form_of_comfyui(shared: Path) -> None:
    import json

    theirs = json.loads((shared / "reference" / "object_info.json").read_text())["KSampler"]
    ours = object_info(find_class("KSampler"), OneFile())
    assert ours["input_order"] == theirs["input_order"]
    assert ours["output"] == theirs["output"]
    for name, (kind, options) in theirs["input"]["required"].items():
        assert ours["input"]["required"][name][0] == kind, name
        for key in ("default", "min", "max"):
            assert ours["input"]["required"][name][1].get(key) == options.get(key), (name, key)


def test_files_of_the_machine_are_choices() -> None:
    info = object_info(find_class("CheckpointLoaderSimple"), OneFile())
    assert info["input"]["required"]["ckpt_name"][0] == ["one.safetensors"]


def test_models_of_the_package_are_among_the_choices(tmp_path: Path) -> None:
    (tmp_path / "models" / "checkpoints").mkdir(parents=True)
    (tmp_path / "models" / "checkpoints" / "mine.ckpt").touch()
    environment = HomeEnvironment(resolve({"home": tmp_path}, environment={}))
    info = object_info(find_class("CheckpointLoaderSimple"), environment)
    names, *_ = info["input"]["required"]["ckpt_name"]
    assert names == ["demo.safetensors", "mine.ckpt"]
    problem = environment.missing("models/checkpoints", "dmo.safetensors")
    assert str(tmp_path / "models" / "checkpoints") in problem.message
    assert "demo.safetensors" in (problem.hint or "")
