from __future__ import annotations

from pathlib import Path

import pytest

from comfykit.errors import ModelFileError, UsageError
from comfykit.home import PACKAGED, Home, canonical_kind, expand, files_below, open_home


def touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")


def test_old_names_of_kinds() -> None:
    assert canonical_kind("clip") == canonical_kind("text_encoders") == "text_encoders"
    assert canonical_kind("unet") == "diffusion_models"
    assert canonical_kind("of_a_pack") == "of_a_pack"


def test_folders_are_the_new_name_then_the_old_then_the_extra_ones(tmp_path: Path) -> None:
    home = Home(tmp_path, {"text_encoders": (Path("/shared/te"),)})
    expected = (tmp_path / "models" / "text_encoders", tmp_path / "models" / "clip", Path("/shared/te"))
    assert home.folders("clip") == home.folders("text_encoders") == expected


def test_names_are_weights_below_every_folder_sorted_without_case(tmp_path: Path) -> None:
    home = Home(tmp_path / "home", {"loras": (tmp_path / "shared",)})
    loras = home.models / "loras"
    touch(
        loras / "b.safetensors",
        loras / "sdxl" / "Deep" / "c.PT",
        loras / "notes.txt",
        loras / ".hidden" / "d.pt",
        loras / "x.safetensors.part",
        tmp_path / "shared" / "A.ckpt",
        tmp_path / "shared" / "b.safetensors",
        home.models / "vae" / "other.pt",
    )
    assert home.names("loras") == ["A.ckpt", "b.safetensors", "sdxl/Deep/c.PT"]
    assert home.names("controlnet") == []


def test_names_that_differ_in_case_alone_have_one_order(tmp_path: Path) -> None:
    touch(*(tmp_path / "models" / "vae" / f"{name}.pt" for name in ("a", "A", "b", "B")))
    assert Home(tmp_path).names("vae") == ["A.pt", "a.pt", "B.pt", "b.pt"]


def test_links_are_followed_under_every_name_but_not_in_circles(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    touch(disk / "deep" / "m.pt")
    folder = tmp_path / "models" / "vae"
    folder.mkdir(parents=True)
    (folder / "one").symlink_to(disk)
    (folder / "two").symlink_to(disk)
    (folder / "gone.pt").symlink_to(tmp_path / "nowhere")
    (folder / "linked.pt").symlink_to(disk / "deep" / "m.pt")
    (disk / "deep" / "up").symlink_to(folder)
    assert Home(tmp_path).names("vae") == ["linked.pt", "one/deep/m.pt", "two/deep/m.pt"]


def test_files_below_a_folder_that_is_not_there(tmp_path: Path) -> None:
    assert list(files_below(tmp_path / "none")) == []
    touch(tmp_path / "file")
    assert list(files_below(tmp_path / "file")) == []


def test_find_looks_in_order(tmp_path: Path) -> None:
    home = Home(tmp_path / "home", {"vae": (tmp_path / "shared",)})
    shared = tmp_path / "shared" / "sdxl" / "v.pt"
    touch(shared)
    assert home.find("vae", "sdxl/v.pt") == shared
    own = home.models / "vae" / "sdxl" / "v.pt"
    touch(own)
    assert home.find("vae", "sdxl/v.pt") == own


def test_a_missing_model_says_where_it_was_looked_for_and_what_is_near(tmp_path: Path) -> None:
    folder = tmp_path / "models" / "checkpoints"
    touch(folder / "sd_xl_base_1.0.safetensors")
    with pytest.raises(ModelFileError) as caught:
        Home(tmp_path).find("checkpoints", "sd_xl_base.safetensors")
    assert str(folder) in str(caught.value)
    assert caught.value.hint == "did you mean sd_xl_base_1.0.safetensors?"
    assert caught.value.facts["near"] == ["sd_xl_base_1.0.safetensors"]


def test_a_folder_is_no_model(tmp_path: Path) -> None:
    (tmp_path / "models" / "vae" / "v.pt").mkdir(parents=True)
    with pytest.raises(ModelFileError):
        Home(tmp_path).find("vae", "v.pt")


@pytest.mark.parametrize("name", ["../secret.pt", "a/../../secret.pt", "/etc/passwd"])
def test_names_do_not_lead_out_of_their_folder(tmp_path: Path, name: str) -> None:
    touch(tmp_path / "models" / "secret.pt", tmp_path / "models" / "vae" / "a" / "v.pt")
    with pytest.raises(ModelFileError, match="not the name of a file below models/vae"):
        Home(tmp_path).find("vae", name)


def test_opening_a_home_makes_nothing_and_keeps_links(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert open_home(Path("new/../home")).root == tmp_path / "home"
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "link").symlink_to("/")
    assert open_home(tmp_path / "link").root == tmp_path / "link"


EXTRA = """
shared:
  base_path: models_of_all
  is_default: true
  checkpoints: ckpt
  clip: |
    te

    /absolute/clip
  loras: ~/loras
empty:
other:
  vae: ../vae
  unet:
"""


def test_extra_model_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ann")
    (tmp_path / "extra_model_paths.yaml").write_text(EXTRA)
    assert open_home(tmp_path).extra == {
        "checkpoints": (tmp_path / "models_of_all" / "ckpt",),
        "text_encoders": (tmp_path / "models_of_all" / "te", Path("/absolute/clip")),
        "loras": (Path("/home/ann/loras"),),
        "vae": (tmp_path / ".." / "vae",),
    }


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: [", "not YAML"),
        ("- a", "found list"),
        ("a: b", "section 'a' should map kinds to paths"),
        ("a: {vae: [x, y]}", "'vae' in section 'a' should be a path, found ['x', 'y']"),
        ("a: {vae: 5}", "should be a path, found 5"),
        ("a: {vae: ~nobody_has_this_name/x}", "not known"),
    ],
)
def test_extra_model_paths_that_cannot_be_read(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "extra_model_paths.yaml").write_text(text)
    with pytest.raises(UsageError) as caught:
        open_home(tmp_path)
    assert words in str(caught.value)


def test_extra_model_paths_that_are_not_text(tmp_path: Path) -> None:
    (tmp_path / "extra_model_paths.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UsageError, match="not YAML"):
        open_home(tmp_path)


def test_expand(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ann")
    assert expand("~/x") == Path("/home/ann/x")
    assert expand("a/~") == Path("a/~")


def test_models_that_are_folders(tmp_path: Path) -> None:
    home = Home(tmp_path)
    for name in ("b", "deep/a"):
        folder = tmp_path / "models" / "diffusers" / name
        (folder / "unet").mkdir(parents=True)
        (folder / "unet" / "diffusion_pytorch_model.safetensors").touch()
        (folder / "model_index.json").touch()
    assert home.names("diffusers") == ["b", "deep/a"]
    assert home.find("diffusers", "deep/a") == tmp_path / "models" / "diffusers" / "deep" / "a"
    for name in ("deep", "b/unet", "b/model_index.json"):
        with pytest.raises(ModelFileError):
            home.find("diffusers", name)


def test_models_of_the_package_are_in_every_home_and_come_last(tmp_path: Path) -> None:
    home = Home(tmp_path / "home", {"vae": (tmp_path / "shared",)}, packaged=tmp_path / "package")
    packaged = tmp_path / "package" / "vae" / "demo.pt"
    touch(packaged, tmp_path / "package" / "vae" / "README.md", tmp_path / "shared" / "other.pt")
    assert home.names("vae") == ["demo.pt", "other.pt"]
    assert home.find("vae", "demo.pt") == packaged
    for folder in (tmp_path / "shared", home.models / "vae"):
        touch(folder / "demo.pt")
        assert home.find("vae", "demo.pt") == folder / "demo.pt"
    assert home.names("vae") == ["demo.pt", "other.pt"]


def test_the_folder_of_the_package_is_not_where_a_missing_model_belongs(tmp_path: Path) -> None:
    home = Home(tmp_path / "home", packaged=tmp_path / "package")
    touch(tmp_path / "package" / "vae" / "demo.pt")
    with pytest.raises(ModelFileError) as caught:
        home.find("vae", "demmo.pt")
    assert caught.value.facts["looked"] == [str(home.models / "vae")]
    assert caught.value.hint == "did you mean demo.pt?"


def test_a_home_that_is_opened_has_the_models_of_the_package(tmp_path: Path) -> None:
    home = open_home(tmp_path)
    assert home.packaged == PACKAGED
    assert home.own_folders("loras") == (tmp_path / "models" / "loras",)
    assert home.folders("clip")[-1] == PACKAGED / "text_encoders"
    assert "demo.safetensors" in home.names("checkpoints")
    assert home.find("checkpoints", "demo.safetensors").is_relative_to(PACKAGED)
