from __future__ import annotations

import pytest
from nodes_support import Run

from comfykit.errors import UsageError
from comfykit.nodes import regex, strings
from comfykit.nodes.regex import BadPattern, Matcher


def test_plain_ones() -> None:
    assert strings.string_concatenate("a", "b", ", ") == "a, b"
    assert strings.string_substring("photograph", 2, -2) == "otogra"
    assert strings.string_length("狐 é") == 3
    assert strings.string_replace("a.a", ".", "-") == "a-a"
    assert [strings.case_converter("a Red fox", mode) for mode in strings.CASES] == [
        "A RED FOX",
        "a red fox",
        "A red fox",
        "A Red Fox",
    ]
    assert [strings.string_trim(" a\n", mode) for mode in strings.TRIMS] == ["a", "a\n", " a"]


def test_comparisons() -> None:
    assert strings.string_contains("Fox", "fO", False)
    assert not strings.string_contains("Fox", "fO", True)
    assert strings.string_compare("Red fox", "RED", "Starts With", False)
    assert strings.string_compare("Red fox", "fox", "Ends With", True)
    assert not strings.string_compare("Red fox", "red fox", "Equal", True)


def test_match(run: Run) -> None:
    assert strings.regex_match("A\nfox", "^FOX$", True, True, False, run.context)
    assert not strings.regex_match("A\nfox", "^FOX$", True, False, False, run.context)
    assert strings.regex_match("a\nb", "a.b", False, False, True, run.context)
    assert run.warnings == []
    assert strings.regex_match("a", "(", True, False, False, run.context) is False
    assert "'(' is invalid" in run.warnings[0]


@pytest.mark.parametrize(
    ("pattern", "mode", "group", "made"),
    [
        (r"\d+", "First Match", 1, "12"),
        (r"\d+", "All Matches", 1, "12\n34"),
        (r"(\w)(\d+)", "All Matches", 1, "a\nb"),
        (r"(\w)(\d+)", "First Group", 2, "12"),
        (r"(\w)(\d+)", "All Groups", 2, "12\n34"),
        (r"(\w)(\d+)", "All Groups", 0, "a12\nb34"),
        (r"(\w)(\d+)", "First Group", 3, ""),
        (r"(x)?b", "First Group", 1, ""),
        ("z", "First Match", 1, ""),
        ("[", "All Matches", 1, ""),
    ],
)
def test_extract(run: Run, pattern: str, mode: str, group: int, made: str) -> None:
    assert strings.regex_extract("a12 b34", pattern, mode, True, False, False, group, run.context) == made


def test_replace() -> None:
    assert strings.regex_replace("a1 A2 狐", r"(a)(\d)", r"\2\1", True) == "1a 2A 狐"
    assert strings.regex_replace("a1 A2", r"a\d", "", True, count=1) == " A2"
    with pytest.raises(UsageError, match="invalid"):
        strings.regex_replace("a", "a", r"\1")


def test_a_pattern_that_never_ends_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(regex, "SECONDS", 0.5)
    with pytest.raises(UsageError, match="takes longer"):
        Matcher("(a+)+b").first("a" * 64)


def test_texts_that_are_no_unicode_pass() -> None:
    assert Matcher(".").all("\ud800\0") == [["\ud800"], ["\0"]]
    with pytest.raises(BadPattern):
        Matcher("*").first("")
