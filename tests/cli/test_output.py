from __future__ import annotations

import io
import json
import re
import sys
from pathlib import Path

import pytest
from rich.console import Console

from comfykit.cli.output import Output, printable

Capture = pytest.CaptureFixture[str]


def test_people_get_lines_and_programs_get_records(capsys: Capture) -> None:
    for output in (Output(), Output(as_json=True)):
        output.line("plain")
        output.table(["name"], [["cell"]])
        output.record(event="done", path=Path("a/b"))
        said = capsys.readouterr()
        assert said.err == ""
        if output.as_json:
            assert json.loads(said.out) == {"event": "done", "path": "a/b"}
        else:
            assert said.out.startswith("plain\n")
            assert "cell" in said.out


def test_a_line_is_written_as_it_is(capsys: Capture) -> None:
    Output().line("https://a/x\thttps://b/x [red]:cat:[/red] " + "long " * 60)
    assert capsys.readouterr().out == "https://a/x\thttps://b/x [red]:cat:[/red] " + "long " * 60 + "\n"


def test_a_styled_line_is_plain_where_nobody_sees_colour(capsys: Capture) -> None:
    Output().line("torch", lead="ok ", style="green")
    assert capsys.readouterr().out == "ok torch\n"


def test_a_styled_line_colours_its_lead_alone_on_a_terminal() -> None:
    output, screen = terminal()
    output.line("torch [2]", lead="ok ", style="green")
    assert screen.getvalue() == "\x1b[32mok \x1b[0mtorch [2]\n"
    assert output.width == 40


def test_talk_goes_to_stderr_even_for_programs(capsys: Capture) -> None:
    output = Output(as_json=True)
    output.say("[bold]loading :cat:")
    output.warn("disk is small", "make room")
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err == "[bold]loading :cat:\nwarning: disk is small\n  hint: make room\n"


def test_an_error_is_a_sentence_and_with_json_a_record_too(capsys: Capture) -> None:
    Output().error("no such file", "look elsewhere", {"code": "usage"})
    said = capsys.readouterr()
    assert (said.out, said.err) == ("", "error: no such file\n  hint: look elsewhere\n")
    Output(as_json=True).error("no such file", None, {"code": "usage"})
    said = capsys.readouterr()
    assert json.loads(said.out) == {
        "event": "error",
        "message": "no such file",
        "hint": None,
        "code": "usage",
    }
    assert said.err == "error: no such file\n"


def test_table_cells_stay_whole_in_a_pipe_and_fold_on_a_terminal(capsys: Capture) -> None:
    path = "/models/" + "deep/" * 40 + "[v1].safetensors"
    Output().table(["file", "size"], [[path, "1"]], title="[all]")
    said = capsys.readouterr().out
    assert path in said
    assert "[all]" in said
    output, screen = terminal()
    output.table(["file", "size"], [[path, "1"]])
    shown = re.sub(r"\x1b\[\d+m", "", screen.getvalue()).splitlines()
    assert max(map(len, shown)) <= 40


@pytest.mark.parametrize("styled", [False, True])
def test_what_a_terminal_cannot_show_is_spelled_out(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch, styled: bool
) -> None:
    ascii_only = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", ascii_only)
    Output().line("caf\u00e9 \udcff \x1b[2J", lead="ok ", style="green" if styled else None)
    Output(as_json=True).record(path="caf\u00e9 \udcff")
    ascii_only.seek(0)
    line, record = ascii_only.read().splitlines()
    assert line == "ok caf\\xe9 \\udcff \\x1b[2J"
    assert json.loads(record) == {"path": "caf\u00e9 \udcff"}


def test_talk_cannot_steer_the_terminal(capsys: Capture) -> None:
    Output().say("name\x1b]0;title\x07\r\x9b2J\udc80")
    assert capsys.readouterr().err == "name\\x1b]0;title\\x07\\x0d\\x9b2J\\udc80\n"


def test_printable_leaves_text_alone() -> None:
    text = "Grüße, 模型\tα\n😀"
    assert printable(text, "utf-8") == text


def terminal() -> tuple[Output, io.StringIO]:
    """An output whose stdout is a terminal of 40 columns, and its screen."""
    screen = io.StringIO()
    output = Output()
    output._consoles[False] = Console(
        file=screen,
        force_terminal=True,
        width=40,
        highlight=False,
        emoji=False,
        soft_wrap=True,
        color_system="standard",
    )
    return output, screen
