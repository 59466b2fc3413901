from __future__ import annotations

import inspect
from pathlib import Path

import pytest

from comfykit.compat.host import folder_paths, server
from comfykit.errors import UsageError
from comfykit.settings import Settings


def touch(root: Path, *names: str) -> None:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")


def test_directories_are_those_of_the_settings(settings: Settings) -> None:
    root = settings.home.root
    assert folder_paths.base_path == str(root)
    assert folder_paths.models_dir == str(root / "models")
    assert folder_paths.get_output_directory() == str(root / "output")
    assert folder_paths.get_directory_by_type("temp") == str(root / "temp")
    assert folder_paths.get_directory_by_type("elsewhere") is None
    assert folder_paths.get_user_directory() == str(root / "user")


def test_a_pack_may_set_a_directory(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folder_paths, "output_directory", "", raising=False)
    elsewhere = settings.home.root / "elsewhere"
    folder_paths.set_output_directory(str(elsewhere))
    assert folder_paths.get_output_directory() == str(elsewhere)
    assert elsewhere.is_dir()
    assert folder_paths.get_annotated_filepath("a.png [output]") == str(elsewhere / "a.png")


def test_models_are_listed_and_found(settings: Settings) -> None:
    touch(settings.home.models, "loras/sub/b.safetensors", "loras/A.pt", "loras/notes.txt", "loras/.git/x.pt")
    assert folder_paths.get_filename_list("loras") == ["A.pt", "sub/b.safetensors"]
    found = folder_paths.get_full_path("loras", "sub/b.safetensors")
    assert found == str(settings.home.models / "loras/sub/b.safetensors")
    assert folder_paths.get_full_path("loras", "none.pt") is None
    assert folder_paths.get_full_path("no such kind", "a.pt") is None
    assert folder_paths.get_full_path("loras", "../../comfykit.toml") is None


def test_a_list_follows_what_happens_on_the_disk(settings: Settings) -> None:
    touch(settings.home.models, "loras/a.pt")
    assert folder_paths.get_filename_list("loras") == ["a.pt"]
    touch(settings.home.models, "loras/deeper/b.pt")
    assert folder_paths.get_filename_list("loras") == ["a.pt", "deeper/b.pt"]
    (settings.home.models / "loras/a.pt").unlink()
    assert folder_paths.get_filename_list("loras") == ["deeper/b.pt"]


def test_older_names_of_kinds(settings: Settings) -> None:
    touch(settings.home.models, "clip/old.safetensors", "text_encoders/new.safetensors")
    assert folder_paths.get_filename_list("clip") == ["new.safetensors", "old.safetensors"]
    assert folder_paths.map_legacy("unet") == "diffusion_models"


def test_packs_add_kinds_of_their_own(settings: Settings) -> None:
    touch(settings.home.root, "mine/a.onnx", "mine/b.pt", "first/c.onnx")
    mine, first = str(settings.home.root / "mine"), str(settings.home.root / "first")
    folder_paths.folder_names_and_paths["detectors"] = ([mine], {".onnx"})
    assert folder_paths.get_filename_list("detectors") == ["a.onnx"]
    folder_paths.add_model_folder_path("detectors", first, is_default=True)
    folder_paths.add_model_folder_path("detectors", first)
    assert folder_paths.get_folder_paths("detectors") == [first, mine]
    assert folder_paths.get_filename_list("detectors") == ["a.onnx", "c.onnx"]


def test_a_link_upwards_is_no_loop(settings: Settings) -> None:
    touch(settings.home.models, "loras/a.pt")
    (settings.home.models / "loras/up").symlink_to(settings.home.models / "loras")
    assert folder_paths.get_filename_list("loras") == ["a.pt"]


def test_files_of_workflows(settings: Settings) -> None:
    touch(settings.home.root, "input/a.png", "output/sub/b.png")
    assert folder_paths.annotated_filepath("b.png [output]") == ("b.png", str(settings.output_dir))
    assert folder_paths.annotated_filepath("a.png") == ("a.png", None)
    assert folder_paths.get_annotated_filepath("a.png") == str(settings.input_dir / "a.png")
    assert folder_paths.exists_annotated_filepath("sub/b.png [output]")
    assert not folder_paths.exists_annotated_filepath("sub/b.png")


@pytest.mark.parametrize("name", ["../comfykit.toml", "/etc/passwd", "a/../../x [output]"])
def test_names_that_lead_out_are_refused(settings: Settings, name: str) -> None:
    assert not folder_paths.exists_annotated_filepath(name)
    with pytest.raises(UsageError, match="leads out"):
        folder_paths.get_annotated_filepath(name)


def test_where_files_are_saved(settings: Settings) -> None:
    touch(settings.output_dir, "sub/cat_00007_.png")
    found = folder_paths.get_save_image_path("sub/cat", str(settings.output_dir), 64, 32)
    assert found == (str(settings.output_dir / "sub"), "cat", 8, "sub", "sub/cat")
    sized = folder_paths.get_save_image_path("%width%x%height%", str(settings.output_dir), 64, 32)
    assert sized[1] == "64x32"
    with pytest.raises(UsageError):
        folder_paths.get_save_image_path("../out", str(settings.output_dir))


def test_kinds_of_content() -> None:
    names = ["a.png", "b.webp", "c.mp4", "d.wav", "e.glb", "README"]
    assert folder_paths.filter_files_content_types(names, ["image"]) == ["a.png", "b.webp"]
    assert folder_paths.filter_files_content_types(names, ["video", "audio"]) == ["c.mp4", "d.wav"]


def test_comfyuis_folder_is_the_home(settings: Settings) -> None:
    assert folder_paths.__file__ == str(settings.home.root / "folder_paths.py")
    assert inspect.getfile(server.PromptServer) == str(settings.home.root / "server.py")
    with pytest.raises(AttributeError):
        _ = folder_paths.nonsense
