"""Pages in Chinese say the same as those in English: the same commands, names, tables and links."""

from __future__ import annotations

import os
import re
from collections import Counter
from pathlib import Path

import pytest
from dockerfile import ROOT

from comfykit.cli.app import build

PAIRS = [("README.md", "README.zh-CN.md"), ("docs/containers.md", "docs/zh/containers.md")]
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
pairs = pytest.mark.parametrize(("english", "chinese"), PAIRS, ids=["readme", "containers"])


def text_of(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def commands(page: str) -> list[str]:
    """The lines of all shell blocks, without comments."""
    blocks = [body for kind, body in BLOCK.findall(text_of(page)) if kind == "sh"]
    return [re.sub(r"\s+#\s.*", "", line) for block in blocks for line in block.splitlines()]


def names(page: str) -> set[str]:
    """What stands between backquotes."""
    prose = BLOCK.sub("", re.sub(r"<!--.*?-->", "", text_of(page)))
    return {re.sub(r"\s+", " ", name) for name in re.findall(r"`([^`]+)`", prose)}


def links(page: str) -> list[str]:
    """Targets below the repository, without anchors, and addresses."""
    found = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", text_of(page))
    folder = Path(page).parent
    return [link if ":" in link else os.path.normpath(folder / link) for link in found]


def shape(page: str) -> tuple[list[int], list[int]]:
    """Levels of the headings, and the cells of every table row."""
    prose = BLOCK.sub("", text_of(page))
    headings = [len(marks) for marks in re.findall(r"^(#+) ", prose, re.MULTILINE)]
    rows = [len(re.findall(r"(?<!\\)\|", row)) for row in re.findall(r"^\|.*\|$", prose, re.MULTILINE)]
    return headings, rows


def in_english(link: str) -> str:
    """The English page of a Chinese one."""
    return {chinese: english for english, chinese in PAIRS}.get(link, link)


@pairs
def test_the_commands_are_the_same(english: str, chinese: str) -> None:
    assert commands(english)
    assert commands(chinese) == commands(english)


@pairs
def test_the_names_are_the_same(english: str, chinese: str) -> None:
    assert names(chinese) == names(english)


@pairs
def test_headings_and_tables_are_the_same(english: str, chinese: str) -> None:
    assert shape(chinese) == shape(english)


@pairs
def test_the_links_are_the_same_and_lead_somewhere(english: str, chinese: str) -> None:
    mine = [link for link in links(chinese) if link != english]
    theirs = [link for link in links(english) if link != chinese]
    assert Counter(map(in_english, mine)) == Counter(theirs)
    assert english in links(chinese)
    assert chinese in links(english)
    inside = [link for link in links(chinese) + links(english) if ":" not in link]
    assert all((ROOT / link).exists() for link in inside)


def test_every_command_is_in_both() -> None:
    import typer.main

    known = set(typer.main.get_command(build()).commands)  # type: ignore[attr-defined]
    told = {line.split()[1] for page in PAIRS[0] for line in names(page) if line.startswith("comfykit ")}
    assert known == told
