"""Rewriting addresses."""

from __future__ import annotations

import pytest

from comfykit.errors import UsageError
from comfykit.fetch.mirrors import read_mirrors, rewrite

HUB = "https://huggingface.co/"


def test_the_first_rule_that_fits_decides() -> None:
    rules = read_mirrors(f"{HUB}datasets/=http://d/ \n {HUB}=http://127.0.0.1:8/hub/ {HUB}=http://never/")
    assert rewrite(HUB + "datasets/x", rules) == "http://d/x"
    assert rewrite(HUB + "o/m?a=b=c", rules) == "http://127.0.0.1:8/hub/o/m?a=b=c"
    assert rewrite("https://github.com/x", rules) == "https://github.com/x"
    assert rewrite("https://huggingface.co.evil.example/x", rules) == "https://huggingface.co.evil.example/x"


def test_a_prefix_proxy_is_a_rule_too() -> None:
    rules = read_mirrors("https://github.com/=https://proxy.example/https://github.com/")
    assert rewrite("https://github.com/o/r", rules) == "https://proxy.example/https://github.com/o/r"


def test_no_rules_are_no_rules() -> None:
    assert read_mirrors("  ") == ()


@pytest.mark.parametrize(
    "text", ["x", f"{HUB}", f"{HUB}=http://a", "https://huggingface.co=http://a/", "a/=b/", f"{HUB}=ftp://a/"]
)
def test_rules_that_cannot_be_used(text: str) -> None:
    with pytest.raises(UsageError, match="COMFYKIT_MIRRORS"):
        read_mirrors(text)
