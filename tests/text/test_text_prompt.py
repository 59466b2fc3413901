from __future__ import annotations

import math
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from comfykit.text.prompt import Weighted, parse_weights


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        ("", []),
        ("a red fox", [("a red fox", 1.0)]),
        ("(x)", [("x", 1.1)]),
        ("((x))", [("x", 1.21)]),
        ("(x:1.3)", [("x", 1.3)]),
        ("(x: 1.3 )", [("x", 1.3)]),
        ("(x:.5)", [("x", 0.5)]),
        ("(x:-1)", [("x", -1.0)]),
        ("(x:0)", [("x", 0.0)]),
        ("((x:1.3))", [("x", 1.3)]),
        ("((x):1.3)", [("x", 1.43)]),
        ("(a (b (c:0.7)):1.5) d", [("a ", 1.5), ("b ", 1.65), ("c", 0.7), (" d", 1.0)]),
        ("(a)(b)", [("a", 1.1), ("b", 1.1)]),
        ("fox(es:1.2)!", [("fox", 1.0), ("es", 1.2), ("!", 1.0)]),
        ("()", []),
        ("(:1.3)", []),
        ("[x] {y}", [("[x] {y}", 1.0)]),
        ("a:1.3", [("a:1.3", 1.0)]),
        ("(a:b:1.2)", [("a:b", 1.2)]),
        ("(embedding:cat)", [("embedding:cat", 1.1)]),
        ("(embedding:cat:0.8)", [("embedding:cat", 0.8)]),
        ("(x:1.3) y:2)", [("x", 1.3), (" y:2)", 1.0)]),
    ],
)
def test_weights(prompt: str, expected: list[tuple[str, float]]) -> None:
    assert [(run.text, pytest.approx(run.weight)) for run in parse_weights(prompt)] == expected


@pytest.mark.parametrize("number", ["", "x", "1,3", "nan", "inf", "1e999", "0x1"])
def test_what_is_no_number_is_text(number: str) -> None:
    assert parse_weights(f"(x:{number})") == [Weighted(f"x:{number}", pytest.approx(1.1))]


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        (r"\(x\)", [("(x)", 1.0)]),
        (r"a \(b:1.3\) c", [("a (b:1.3) c", 1.0)]),
        (r"(fox \(animal\):1.2)", [("fox (animal)", 1.2)]),
        (r"(x\))", [("x)", 1.1)]),
        (r"(x:1.2\))", [("x:1.2)", 1.1)]),
        (r"a\b", [("a\\b", 1.0)]),
    ],
)
def test_escapes(prompt: str, expected: list[tuple[str, float]]) -> None:
    assert [(run.text, pytest.approx(run.weight)) for run in parse_weights(prompt)] == expected


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        ("(a", [("(a", 1.0)]),
        ("a)", [("a)", 1.0)]),
        (")(", [(")(", 1.0)]),
        ("(a (b) c", [("(a ", 1.0), ("b", 1.1), (" c", 1.0)]),
        ("(a) b) c", [("a", 1.1), (" b) c", 1.0)]),
    ],
)
def test_a_parenthesis_without_partner_is_text(prompt: str, expected: list[tuple[str, float]]) -> None:
    assert [(run.text, pytest.approx(run.weight)) for run in parse_weights(prompt)] == expected


prompts = st.text(alphabet="()\\:.,10- ab\n", max_size=60) | st.text(max_size=60)


@given(prompts)
def test_every_run_has_text(prompt: str) -> None:
    assert all(run.text for run in parse_weights(prompt))


@given(prompts)
def test_text_without_parentheses_is_left_alone(prompt: str) -> None:
    plain = prompt.replace("(", "").replace(")", "")
    assert "".join(run.text for run in parse_weights(plain)) == plain


@given(prompts)
def test_escaped_text_comes_back_whole(prompt: str) -> None:
    text = prompt.replace("\\", "")
    escaped = text.replace("(", "\\(").replace(")", "\\)")
    assert parse_weights(escaped) == ([Weighted(text)] if text else [])


@given(prompts)
def test_one_more_pair_of_parentheses_multiplies_what_is_not_set(prompt: str) -> None:
    text = prompt.replace("(", "").replace(")", "").replace("\\", "").replace(":", "")
    for depth in range(4):
        runs = parse_weights("(" * depth + text + ")" * depth)
        assert runs == ([Weighted(text, pytest.approx(1.1**depth))] if text else [])


@given(st.text(alphabet="ab ", min_size=1), st.floats(-1e6, 1e6))
def test_a_set_weight_is_read_back(text: str, weight: float) -> None:
    assert parse_weights(f"(({text}:{weight!r}))") == [Weighted(text, weight)]


@pytest.mark.parametrize(
    "prompt",
    ["(" * 100_000, ")" * 100_000, "(" * 50_000 + "x" + ")" * 50_000, "(x:" * 30_000 + "1)" * 30_000],
)
def test_depth_costs_no_more_than_length(prompt: str) -> None:
    started = time.perf_counter()
    runs = parse_weights(prompt)
    assert time.perf_counter() - started < 5
    assert runs
    assert not any(math.isnan(run.weight) for run in runs)
