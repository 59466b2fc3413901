from __future__ import annotations

import random
import time
from datetime import datetime

import pytest

from comfykit.workflow.replace import choose, fill_in_name

NOW = datetime(2025, 3, 7, 9, 5, 2)
VALUES = {
    ("Sampler", "cfg"): 8.0,
    ("My.Node", "text"): "a/b\\c:d",
    ("Sampler", "on"): True,
    ("Sampler", "by"): 1.5,
}


def filled(text: str) -> str:
    return fill_in_name(text, lambda node, name: VALUES.get((node, name)), NOW)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("%date:yyyy-MM-dd%", "2025-03-07"),
        ("%date:yy.M.d h:m:s%", "25.3.7 9:5:2"),
        ("%date:hh_mm_ss%", "09_05_02"),
        ("%Sampler.cfg% %Sampler.on% %Sampler.by%", "8 true 1.5"),
        ("%My.Node.text%", "a_b_c_d"),
        ("%width%x%height%", "%width%x%height%"),
        ("%No.such%", "%No.such%"),
        ("100%", "100%"),
        ("%%", "%%"),
    ],
)
def test_names_of_files(text: str, expected: str) -> None:
    assert filled(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain (text:1.2)", "plain (text:1.2)"),
        ("{one}", "one"),
        (r"\{kept\}", "{kept}"),
        (r"\(kept\)", r"\(kept\)"),
        ("a /* b\nc */d", "a d"),
        ("a // b\nc", "a \nc"),
        ("{{{deep}}}", "deep"),
        ("{open", "{open"),
        ("{}", ""),
    ],
)
def test_prompts(text: str, expected: str) -> None:
    assert choose(text, random.Random(0)) == expected


def test_every_choice_comes_up() -> None:
    made = {choose("{a|{b|c}|}", random.Random(seed)) for seed in range(100)}
    assert made == {"a", "b", "c", ""}


@pytest.mark.parametrize(
    "text", ["{" * 100_000, "{a|" * 50_000, "{a}" * 50_000, "{a" * 50_000 + "}" * 50_000, "/*" * 100_000]
)
def test_texts_that_are_made_to_take_long(text: str) -> None:
    begin = time.monotonic()
    choose(text, random.Random(0))
    assert time.monotonic() - begin < 2
