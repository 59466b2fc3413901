from __future__ import annotations

import multiprocessing
import os
from collections import Counter
from datetime import datetime
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest

from comfykit.errors import UsageError
from comfykit.nodes.files import Destination, destination, expand, next_counter, save_new


def save(place: Destination, content: str = "x", suffix: str = ".png") -> str:
    def write(path: Path) -> None:
        path.write_text(content)

    name, _ = save_new(place.folder, place.stem, next_counter(place), suffix, write)
    return name


# Prefixes


def test_variables() -> None:
    now = datetime(2026, 3, 4, 5, 6, 7)
    prefix = "%width%x%height%/%year%-%month%-%day%_%hour%%minute%%second%_%batch_num%_%date:yyyy%_%x%"
    assert expand(prefix, 64, 48, now) == "64x48/2026-03-04_050607_%batch_num%_%date:yyyy%_%x%"


@pytest.mark.parametrize(
    ("prefix", "subfolder", "stem"),
    [
        ("ComfyUI", "", "ComfyUI"),
        ("a/b/c", "a/b", "c"),
        ("a\\b", "a", "b"),
        ("a/../b", "", "b"),
        ("a/", "", "a"),
        ("", "", ""),
        ("%width%/x", "64", "x"),
        ("雪/🦊", "雪", "🦊"),
    ],
)
def test_prefixes_may_have_folders(tmp_path: Path, prefix: str, subfolder: str, stem: str) -> None:
    place = destination(prefix, tmp_path / "output", width=64)
    assert (place.subfolder, place.stem) == (subfolder, stem)
    assert place.folder.is_dir()
    assert save(place) == f"{stem}_00001_.png"


@pytest.mark.parametrize("prefix", ["../x", "/abs", "a/../../x", "..\\x", "C:\\x", "..", "a\0b"])
def test_prefixes_that_lead_out(tmp_path: Path, prefix: str) -> None:
    with pytest.raises(UsageError):
        destination(prefix, tmp_path / "output")
    assert list(tmp_path.rglob("*")) == []


@pytest.mark.parametrize("prefix", ["x" * 5000, "x" * 300 + "/y", "雪" * 100])
def test_prefixes_that_are_too_long(tmp_path: Path, prefix: str) -> None:
    with pytest.raises(UsageError, match="longer than 200 bytes"):
        destination(prefix, tmp_path)


def test_a_prefix_of_the_greatest_length_can_be_saved(tmp_path: Path) -> None:
    assert save(destination("x" * 200, tmp_path)) == f"{'x' * 200}_00001_.png"


def test_a_file_where_a_folder_should_be(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    with pytest.raises(UsageError, match="cannot be made"):
        destination("a/b", tmp_path)


# Counters


def test_counters_go_on_behind_the_highest(tmp_path: Path) -> None:
    place = destination("image", tmp_path)
    assert next_counter(place) == 1
    for name in ("image_00002_.png", "image_00007_.png", "image_00008_.latent"):
        (tmp_path / name).touch()
    assert save(place) == "image_00009_.png"
    assert save(place) == "image_00010_.png"


def test_other_files_do_not_count(tmp_path: Path) -> None:
    place = destination("image", tmp_path)
    foreign = (
        "image.png",
        "image_.png",
        "image_x_.png",
        "image_00099.png",
        "image_2_00050_.png",
        "image_-5_.png",
    )
    for name in (*foreign, "ximage_00080_.png", "images_00070_.png", "image_٣_.png", "Thumbs.db"):
        (tmp_path / name).touch()
    assert next_counter(place) == 3  # of image_2_
    assert next_counter(destination("im.ge", tmp_path)) == 1


def test_counters_beyond_five_digits(tmp_path: Path) -> None:
    (tmp_path / "image_99999_.png").touch()
    assert save(destination("image", tmp_path)) == "image_100000_.png"


def test_a_batch_number_is_any_number(tmp_path: Path) -> None:
    place = destination("a%batch_num%b", tmp_path)
    assert place.of_batch(12) == "a12b"
    (tmp_path / "a3b_00004_.png").touch()
    assert next_counter(place) == 5


# Whole or not at all


def test_what_fails_leaves_nothing(tmp_path: Path) -> None:
    def fail(path: Path) -> None:
        path.write_text("half")
        raise RuntimeError("disk full")

    with pytest.raises(RuntimeError):
        save_new(tmp_path, "image", 1, ".png", fail)
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_under_the_final_name_while_it_is_written(tmp_path: Path) -> None:
    seen: list[str] = []

    def write(path: Path) -> None:
        path.write_text("x")
        seen.extend(entry.name for entry in tmp_path.iterdir())

    assert save_new(tmp_path, "image", 1, ".png", write) == ("image_00001_.png", 1)
    assert len(seen) == 1
    assert seen[0].endswith(".part")
    assert [entry.name for entry in tmp_path.iterdir()] == ["image_00001_.png"]


@pytest.mark.parametrize("links", [True, False], ids=["links", "no links"])
def test_a_name_taken_meanwhile_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, links: bool
) -> None:
    if not links:

        def refuse(*_: object) -> None:
            raise OSError("no links here")

        monkeypatch.setattr(os, "link", refuse)
    (tmp_path / "image_00001_.png").write_text("theirs")
    name, counter = save_new(tmp_path, "image", 1, ".png", lambda path: path.write_text("ours") and None)
    assert (name, counter) == ("image_00002_.png", 2)
    assert (tmp_path / "image_00001_.png").read_text() == "theirs"
    assert (tmp_path / "image_00002_.png").read_text() == "ours"
    assert len(list(tmp_path.iterdir())) == 2


def _save_many(folder: Path, who: str, begin: Barrier) -> None:
    begin.wait(60)
    for number in range(40):
        save(destination("image", folder), f"{who} {number}")


def test_two_processes_never_overwrite_each_other(tmp_path: Path) -> None:
    spawn = multiprocessing.get_context("spawn")
    begin = spawn.Barrier(2)
    processes = [spawn.Process(target=_save_many, args=(tmp_path, who, begin)) for who in "ab"]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
        assert process.exitcode == 0
    files = sorted(tmp_path.iterdir())
    assert [file.name for file in files] == [f"image_{counter:05}_.png" for counter in range(1, 81)]
    assert set(Counter(file.read_text() for file in files).values()) == {1}
