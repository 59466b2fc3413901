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
from comfykit.errors import UsageError


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
        timeout=200,
    )


def break_model(home: Path) -> Path:
    path = home / "models" / "vae" / "page.safetensors"
    path.parent.mkdir(parents=True)
    path.write_text("<html>Sign in</html>")
    return path


def test_one_line_per_check_and_a_sum(home: Path) -> None:
    result = invoke("--deep", "--home", str(home))
    lines = result.stdout.splitlines()
    assert lines[0].split()[:2] == ["ok", "Python"]
    assert lines[0].index("Python") == lines[1].index("torch")
    assert f"ok       home          {home}" in lines
    assert lines[-1].startswith("This machine ")
    assert result.exit_code == 0


def test_a_failure_has_a_hint_and_makes_the_exit_code_1(home: Path) -> None:
    path = break_model(home)
    result = invoke("--deep", "--home", str(home))
    lines = result.stdout.splitlines()
    (at,) = [number for number, line in enumerate(lines) if line.startswith("failure")]
    assert str(path) in lines[at]
    assert lines[at].startswith("failure  models        ")
    below = [line.strip() for line in lines[at + 1 : at + 6]]
    assert below[0].startswith("why: The server answered with a page")
    assert below[2:] == [
        "hint: then fetch it again: comfykit install-models MANIFEST",
        f"run: rm -r {path}",
        "more: docs/doctor/CK702.md",
    ]
    assert lines[-1].startswith("1 failure")
    assert lines[-1].endswith("this machine is not ready to run workflows.")
    assert result.exit_code == 1


def test_json_is_an_object_per_line(home: Path) -> None:
    path = break_model(home)
    result = invoke("--deep", "--home", str(home), "--json")
    *checks, done = [json.loads(line) for line in result.stdout.splitlines()]
    assert {tuple(check) for check in checks} == {
        ("event", "check", "status", "message", "hint", "code", "seen", "why", "commands", "page")
    }
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
    ended = run("--deep", "--home", str(home), before=[broken])
    assert ended.returncode == 1
    assert ended.stderr == ""
    assert "does not import: the interpreter that imported it crashed (SIGSEGV)" in ended.stdout
    assert "this machine is not ready" in ended.stdout


def test_a_home_that_is_a_file_is_a_usage_error(home: Path) -> None:
    ended = run("--json", "--home", str(home / "comfykit.toml"))
    assert ended.returncode == 2
    assert json.loads(ended.stdout)["code"] == "usage"
    assert "is a file" in ended.stderr


def test_warnings_alone_exit_with_2_where_asked_to_be_strict(tmp_path: Path, home: Path) -> None:
    machine = tmp_path / "machine.toml"
    machine.write_text('packages = { opencv-python = "4.10.0.84", opencv-python-headless = "4.10.0.84" }\n')
    assert invoke("--facts", str(machine), "--home", str(home)).exit_code == 0
    strict = invoke("--facts", str(machine), "--home", str(home), "--strict")
    assert strict.exit_code == 2
    assert "run: uv pip uninstall opencv-python\n" in strict.stdout


def test_facts_are_written_and_judged_elsewhere(tmp_path: Path, home: Path) -> None:
    path = tmp_path / "facts.json"
    assert invoke("--home", str(home), "--export", str(path)).exit_code == 0
    assert str(home) not in path.read_text()
    assert "python" in json.loads(invoke("--home", str(home), "--export", "-").stdout)
    assert invoke("--facts", str(path), "--home", str(home)).exit_code == 0


def test_another_machine_is_not_mended(tmp_path: Path, home: Path) -> None:
    result = invoke("--facts", str(tmp_path / "x.toml"), "--fix", "--home", str(home))
    assert isinstance(result.exception, UsageError)


def test_nothing_is_mended_without_a_yes(home: Path) -> None:
    path = break_model(home)
    result = invoke("--home", str(home), "--fix")
    assert isinstance(result.exception, UsageError)
    assert path.exists()
    assert invoke("--home", str(home), "--fix", "--yes").exit_code == 0
    assert not path.exists()
