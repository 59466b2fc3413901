from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from comfykit.packs import probing
from comfykit.packs.probing import Probe, probe_pack
from package_support import Place

# Stands for the real one, which imports the pack as ComfyUI does.
PROBE = """
import json, os, runpy, sys
pack = sys.argv[1]
print("a pack may print")
found = runpy.run_path(os.path.join(pack, "__init__.py"))
said = {"pack": os.path.basename(pack), "classes": found.get("CLASSES", []), "failure": found.get("FAILURE")}
print(json.dumps(said))
print("and print again")
"""


@pytest.fixture
def home(place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (place.site / "probe_of_tests.py").write_text(PROBE, "utf-8")
    monkeypatch.setattr(probing, "PROBE", "probe_of_tests")
    monkeypatch.delenv("PYTHONPATH", raising=False)
    (tmp_path / "home" / "custom_nodes" / "A").mkdir(parents=True)
    return tmp_path / "home"


def attempt(place: Place, home: Path, code: str, seconds: float = 60) -> Probe:
    pack = home / "custom_nodes" / "A"
    (pack / "__init__.py").write_text(code, "utf-8")
    return probe_pack(pack, home, place.environment, seconds=seconds)


def test_the_classes_that_it_registers(place: Place, home: Path) -> None:
    result = attempt(place, home, "CLASSES = ['One', 'Two']")
    assert result == Probe("A", ("One", "Two"))
    assert result.is_imported


def test_why_it_does_not_import(place: Place, home: Path) -> None:
    result = attempt(place, home, "FAILURE = {'cause': 'no cv2', 'hint': 'install it'}")
    assert (result.cause, result.hint, result.is_imported) == ("no cv2", "install it", False)


@pytest.mark.parametrize(
    ("code", "cause", "hint"),
    [
        ("raise SystemExit(3)", "importing it ended Python (exit code 3)", None),
        ("1 / 0", "importing it ended Python (exit code 1)", "ZeroDivisionError: division by zero"),
        ("import os\nos.kill(os.getpid(), 11)", "Python crashed while importing it (SIGSEGV)", None),
        ("import os\nos._exit(0)", "importing it ended Python (exit code 0)", None),
    ],
)
def test_a_pack_that_ends_python(place: Place, home: Path, code: str, cause: str, hint: str | None) -> None:
    assert attempt(place, home, code) == Probe("A", cause=cause, hint=hint)


def test_a_pack_that_never_ends_is_killed_with_its_children(place: Place, home: Path, tmp_path: Path) -> None:
    code = f"""
import os, subprocess, time
child = subprocess.Popen(["sleep", "600"])
open({str(tmp_path / "child")!r}, "w").write(str(child.pid))
time.sleep(600)
"""
    result = attempt(place, home, code, seconds=5)
    assert result.cause == "importing it took more than 5 s"
    child = int((tmp_path / "child").read_text("ascii"))
    while _is_running(child):
        time.sleep(0.01)


def _is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_it_sees_no_secrets_and_leaves_no_bytecode(
    place: Place, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "secret")
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    code = "import os\nCLASSES = [name for name, value in os.environ.items() if value == 'secret']"
    code += "\nCLASSES += [os.environ['COMFYKIT_HOME'], os.getcwd()]"
    assert attempt(place, home, code).classes == (str(home), str(home))
    assert [path.name for path in (home / "custom_nodes" / "A").iterdir()] == ["__init__.py"]


def test_it_can_install_nothing(place: Place, home: Path) -> None:
    code = "import os\nCLASSES = [os.environ['PIP_NO_INDEX'], os.environ['UV_OFFLINE']]"
    assert attempt(place, home, code).classes == ("1", "1")
    assert "PIP_NO_INDEX" not in os.environ


def test_it_finds_what_is_on_a_relative_path(
    place: Place, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", "beside")
    (tmp_path / "beside").mkdir()
    (tmp_path / "beside" / "found_beside.py").write_text("CLASSES = ['One']", "utf-8")
    assert attempt(place, home, "from found_beside import CLASSES").classes == ("One",)
