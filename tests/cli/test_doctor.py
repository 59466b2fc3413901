from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
import typer
from rich.console import Console
from typer.testing import CliRunner, Result

from comfykit.cli import doctor
from comfykit.cli.output import Output
from comfykit.doctor.interface import Finding, Status


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home that exists, set to the CPU, so that the machine's own GPU or its lack says nothing."""
    home = tmp_path / "home"
    home.mkdir()
    (home / "comfykit.toml").write_text('device = "cpu"\n')
    monkeypatch.delenv("COMFYKIT_HOME", raising=False)
    monkeypatch.delenv("COMFYKIT_DEVICE", raising=False)
    return home


def invoke(*arguments: str) -> Result:
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(doctor.command)
    return CliRunner().invoke(app, arguments)


def run(*arguments: str, before: Sequence[Path] = ()) -> subprocess.CompletedProcess[str]:
    """The entry point in a process of its own, with folders before all others on Python's path."""
    path = [*before, Path(doctor.__file__).parents[2]]
    return subprocess.run(
        [sys.executable, "-c", "from comfykit.cli.app import main; main()", "doctor", *arguments],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, path))},
        capture_output=True,
        encoding="utf-8",
        check=False,
        timeout=60,
    )


def break_model(home: Path) -> Path:
    path = home / "models" / "vae" / "page.safetensors"
    path.parent.mkdir(parents=True)
    path.write_text("<html>Sign in</html>")
    return path


def test_one_line_per_check_and_a_sum(home: Path) -> None:
    result = invoke("--home", str(home))
    lines = result.stdout.splitlines()
    assert lines[0].split()[:2] == ["ok", "Python"]
    assert lines[0].index("Python") == lines[1].index("torch")
    assert f"ok       home          {home}" in lines
    assert lines[-1].startswith("This machine ")
    assert result.exit_code == 0


def test_a_failure_has_a_hint_and_makes_the_exit_code_1(home: Path) -> None:
    path = break_model(home)
    result = invoke("--home", str(home))
    lines = result.stdout.splitlines()
    (at,) = [number for number, line in enumerate(lines) if str(path) in line]
    assert lines[at].startswith("failure  models        ")
    assert lines[at + 1] == "         hint: remove it and fetch it again: comfykit install-models MANIFEST"
    assert lines[-1].startswith("1 failure")
    assert lines[-1].endswith("this machine is not ready to run workflows.")
    assert result.exit_code == 1


def test_json_is_an_object_per_line(home: Path) -> None:
    path = break_model(home)
    result = invoke("--home", str(home), "--json")
    *checks, done = [json.loads(line) for line in result.stdout.splitlines()]
    assert {tuple(check) for check in checks} == {("event", "check", "status", "message", "hint")}
    assert {check["event"] for check in checks} == {"check"}
    (broken,) = [check for check in checks if check["status"] == "failure"]
    assert broken["check"] == "models"
    assert str(path) in broken["message"]
    warnings = sum(check["status"] == "warning" for check in checks)
    assert done == {"event": "done", "status": "error", "failures": 1, "warnings": warnings}
    assert result.exit_code == 1


def test_on_a_terminal_messages_are_folded_and_commands_are_not(capsys: pytest.CaptureFixture[str]) -> None:
    finding = Finding("gpu", Status.WARNING, "word " * 12, "pip install " + "package " * 12)
    output = Output()
    output._consoles[False] = Console(force_terminal=True, width=60, color_system=None)
    doctor._show(finding, output)
    assert capsys.readouterr().out.splitlines() == [
        "warning  GPU           " + ("word " * 7).strip(),
        " " * 23 + ("word " * 5).strip(),
        "         hint: pip install " + "package " * 12,
    ]


@pytest.mark.parametrize(
    ("failures", "warnings", "line"),
    [
        (0, 0, "This machine is ready to run workflows."),
        (0, 1, "This machine can run workflows, with 1 warning."),
        (1, 0, "1 failure: this machine is not ready to run workflows."),
        (2, 3, "2 failures and 3 warnings: this machine is not ready to run workflows."),
    ],
)
def test_the_last_line(failures: int, warnings: int, line: str) -> None:
    assert doctor.summary(failures, warnings) == line


def test_the_command_as_it_is_run(home: Path, tmp_path: Path) -> None:
    """With a torch that crashes on import, in a process of its own."""
    broken = tmp_path / "broken"
    (broken / "torch").mkdir(parents=True)
    (broken / "torch" / "__init__.py").write_text("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)")
    ended = run("--home", str(home), before=[broken])
    assert ended.returncode == 1
    assert ended.stderr == ""
    assert "does not import: the interpreter that imported it crashed (SIGSEGV)" in ended.stdout
    assert "this machine is not ready" in ended.stdout


def test_a_home_that_is_a_file_is_a_usage_error(home: Path) -> None:
    ended = run("--json", "--home", str(home / "comfykit.toml"))
    assert ended.returncode == 2
    assert json.loads(ended.stdout)["code"] == "usage"
    assert "is a file" in ended.stderr
