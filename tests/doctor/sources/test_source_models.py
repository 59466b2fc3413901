from __future__ import annotations

import json
import os
import struct
import time
from pathlib import Path

import pytest

from comfykit.doctor.sources.models import Leftover, look
from comfykit.home import Home


def weights(path: Path) -> Path:
    """A sound file with one tensor."""
    header = json.dumps({"w": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}).encode()
    return write(path, struct.pack("<Q", len(header)) + header + b"\0\0\0\0")


def write(path: Path, data: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def test_no_models(tmp_path: Path) -> None:
    models = look(Home(tmp_path / "nothing"))
    assert (models.read, models.unread, models.broken, models.leftovers) == (0, 0, (), ())


def test_models_of_the_package_are_not_counted(tmp_path: Path) -> None:
    weights(tmp_path / "package" / "vae" / "demo.safetensors")
    home = Home(tmp_path / "home", packaged=tmp_path / "package")
    assert home.names("vae") == ["demo.safetensors"]
    assert look(home).read == 0


def test_sound_files_wherever_they_lie(tmp_path: Path) -> None:
    home = Home(
        tmp_path / "home",
        {
            "loras": (tmp_path / "shared",),
            "vae": (tmp_path / "shared" / "vae", tmp_path / "absent"),
            "custom_nodes": (tmp_path / "packs",),
        },
    )
    weights(home.models / "checkpoints" / "a" / "sd.safetensors")
    weights(home.models / "of_a_pack" / "b.SFT")
    weights(tmp_path / "shared" / "vae" / "c.safetensors")
    write(tmp_path / "packs" / "test.safetensors", b"")
    write(home.models / "checkpoints" / "old.ckpt", b"no header to read")
    (home.models / "loras").symlink_to(tmp_path / "shared")
    models = look(home)
    assert (models.read, models.broken) == (3, ())


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"", "cut"),
        (b"\1\2", "cut"),
        (b"<!DOCTYPE html><html>Sign in</html>", "page"),
        (b'{"error": "not found"}', "page"),
        (struct.pack("<Q", 2**60) + b"{}", "corrupt"),
        (struct.pack("<Q", 4) + b"null", "corrupt"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 12\n", "page"),
    ],
)
def test_files_that_are_no_weights(tmp_path: Path, data: bytes, kind: str) -> None:
    sound = weights(tmp_path / "models" / "vae" / "sound.safetensors")
    path = write(sound.with_name("bad.safetensors"), data)
    models = look(Home(tmp_path))
    assert models.read == 2
    (broken,) = models.broken
    assert broken.path == path
    assert broken.problem
    assert broken.kind == kind


def test_a_file_that_was_cut_off(tmp_path: Path) -> None:
    path = weights(tmp_path / "models" / "vae" / "cut.safetensors")
    path.write_bytes(path.read_bytes()[:-2])
    (broken,) = look(Home(tmp_path)).broken
    assert (broken.path, broken.kind) == (path, "cut")


def tensors(path: Path, *names: str) -> Path:
    """A file whose tensors have these names."""
    places = {
        name: {"dtype": "U8", "shape": [1], "data_offsets": [at, at + 1]} for at, name in enumerate(names)
    }
    header = json.dumps(places).encode()
    return write(path, struct.pack("<Q", len(header)) + header + bytes(len(names)))


def test_files_in_the_wrong_place_or_of_the_wrong_name(tmp_path: Path) -> None:
    models = tmp_path / "models"
    lora = tensors(models / "checkpoints" / "style.safetensors", "lora_unet_x.lora_down.weight")
    checkpoint = tensors(models / "loras" / "sd.safetensors", "model.diffusion_model.out.weight")
    zipped = write(models / "vae" / "vae.safetensors", b"PK\3\4")
    renamed = tensors(models / "checkpoints" / "sd.ckpt", "w")
    folder = write(models / "checkpoints" / "sdxl" / "model_index.json", b"{}").parent
    tensors(models / "loras" / "fine.safetensors", "lora_te_x.lora_up.weight")
    found = look(Home(tmp_path))
    assert {entry.path for entry in found.misplaced} == {lora, checkpoint, zipped, renamed, folder}
    assert found.broken == ()


def test_pickles_and_files_of_the_same_bytes(tmp_path: Path) -> None:
    first = weights(tmp_path / "models" / "vae" / "a.safetensors")
    second = weights(tmp_path / "models" / "vae" / "b.safetensors")
    pickle = write(tmp_path / "models" / "upscale_models" / "x4.pth", b"PK\3\4")
    found = look(Home(tmp_path), known=lambda path: "00" if path.suffix == ".safetensors" else None)
    assert found.pickles == (pickle,)
    assert found.duplicates == ((first, second),)


def test_a_file_that_the_disk_does_not_give(tmp_path: Path) -> None:
    # Reading one's own memory from its start fails, for root too.
    folder = tmp_path / "models" / "vae"
    folder.mkdir(parents=True)
    (folder / "mem.safetensors").symlink_to("/proc/self/mem")
    (broken,) = look(Home(tmp_path)).broken
    assert broken.kind == "denied"


def test_time_is_limited(tmp_path: Path) -> None:
    for number in range(3):
        weights(tmp_path / "models" / f"{number}.safetensors")
    models = look(Home(tmp_path), seconds=-1)
    assert (models.read, models.unread) == (0, 3)


def test_partial_files_that_nobody_has_touched_for_a_day(tmp_path: Path) -> None:
    fresh = write(tmp_path / "models" / "vae" / "fresh.safetensors.part", b"12")
    stale = write(fresh.with_name("stale.safetensors.part"), b"123")
    days_ago = time.time() - 25 * 60 * 60
    os.utime(stale, (days_ago, days_ago))
    models = look(Home(tmp_path))
    assert models.leftovers == (Leftover(stale, 3),)
    assert models.read == 0
