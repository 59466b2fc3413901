from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from comfykit.errors import PackError
from comfykit.home import Home
from comfykit.packs.lock import (
    Lock,
    LockedModel,
    LockedPack,
    LockedPackage,
    lock_path,
    parse_lock,
    read_lock,
    render_lock,
)

FULL = Lock(
    packs=(
        LockedPack("a.py", "folder", "/somewhere/a.py", tree="sha256:" + "0" * 64, enabled=False),
        LockedPack("Zoo", "git", "https://h/zoo", "c" * 40, "1.2", "sha256:" + "1" * 64, ref="main"),
    ),
    packages=(
        LockedPackage("kornia", "0.8.1", ("sha256:" + "2" * 64, "sha256:" + "3" * 64), ("Zoo", "a.py")),
        LockedPackage("thing", "https://h/thing.whl"),
    ),
    models=(
        LockedModel("loras/x.safetensors"),
        LockedModel("vae/y.pt", 12, "4" * 64, ("https://h/y.pt", "https://m/y.pt")),
    ),
    python="3.11",
    core={"torch": "2.13.0+cpu", "ruamel.yaml": "1"},
    indexes=("https://wheels.example/simple",),
)


def test_a_lock_is_read_as_it_was_written(tmp_path: Path) -> None:
    assert parse_lock(render_lock(FULL)) == FULL
    assert render_lock(parse_lock(render_lock(FULL))) == render_lock(FULL)
    home = Home(tmp_path)
    assert read_lock(home) is None
    lock_path(home).write_text(render_lock(FULL), encoding="utf-8")
    assert read_lock(home) == FULL


def test_it_is_for_people_too() -> None:
    text = render_lock(Lock(packs=FULL.packs))
    assert text.startswith("# What this home has")
    assert '[[pack]]\nname = "Zoo"\nkind = "git"\nurl = "https://h/zoo"' in text
    assert tomllib.loads(text)["pack"][0]["enabled"] is False


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_any_text_survives(text: str) -> None:
    lock = Lock(packs=(LockedPack("a", "folder", text, version=text or None),), core={text: text})
    assert parse_lock(render_lock(lock)) == lock


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("pack =", "not TOML"),
        ("", "version None"),
        ("version = 2", "version 2"),
        ("version = 1\npack = 3", "pack should be tables"),
        ("version = 1\n[[pack]]\nname = 'a'", "url of pack 'a' is missing"),
        ("version = 1\n[[pack]]\nname = '../a'\nurl = 'x'", "is not the name of a folder"),
        ("version = 1\n[[pack]]\nname = '..'\nurl = 'x'", "is not the name of a folder"),
        ("version = 1\n[[pack]]\nname = 'a'\nurl = 'x'\nenabled = 1", "not true or false"),
        (
            "version = 1\n[[pack]]\nname='a'\nurl='x'\n[[pack]]\nname='A'\nurl='y'",
            "pack 'a' stands in it twice",
        ),
        ("version = 1\n[[package]]\nname = 'a'\nversion = 1", "version of package 'a' is not a text"),
        ("version = 1\n[[package]]\nname = 'a'\nversion = '1'\nhashes = 'x'", "not a list of texts"),
        ("version = 1\n[[model]]\npath = '../x/y'", "is not a path KIND/NAME"),
        ("version = 1\n[[model]]\npath = '/x/y'", "is not a path KIND/NAME"),
        ("version = 1\n[[model]]\npath = 'x/y'\nsha256 = 'zz'", "not 64 hexadecimal digits"),
        ("version = 1\n[[model]]\npath = 'x/y'\nsize = -1", "not a number of bytes"),
        ("version = 1\ncore = 1", "should have texts"),
    ],
)
def test_what_is_no_lock_is_said_in_a_sentence(text: str, said: str) -> None:
    with pytest.raises(PackError, match=r"comfykit\.lock") as caught:
        parse_lock(text)
    assert said in str(caught.value)
    assert caught.value.hint
