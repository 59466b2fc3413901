"""What programs say when they fail, and the finding that explains it: `said.tsv`, "-" for none."""

from __future__ import annotations

from pathlib import Path

import pytest

from comfykit.doctor.explain import explain

LINES = (Path(__file__).parent / "said.tsv").read_text(encoding="utf-8").splitlines()


@pytest.mark.parametrize("line", LINES)
def test_what_explains_it(line: str) -> None:
    code, message = line.split("\t")
    entry = explain(message)
    assert (entry.code if entry else "-") == code


def test_a_line_in_the_middle_of_a_log_counts() -> None:
    entry = explain("loading the checkpoint\nKilled\n")
    assert entry is not None
    assert entry.code == "CK601"
