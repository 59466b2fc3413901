from __future__ import annotations

import io
import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from comfykit.cli.app import main
from random_weights import WORKFLOW

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """The command line in this process, as torch takes a second to import: (exit code, stdout, stderr)."""

    def call(*arguments: object, given: bytes = b"") -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["comfykit", *map(str, arguments)])
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(given)))
        with pytest.raises(SystemExit) as ended:
            main()
        said = capsys.readouterr()
        return int(ended.value.code or 0), said.out, said.err

    return call


def events(said: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in said.splitlines()]


def ui(*more: dict[str, Any]) -> dict[str, Any]:
    """A workflow in UI form that loads a picture and saves it."""
    slot = {"name": "images", "type": "IMAGE", "link": 1}
    nodes = [
        {"id": 1, "type": "EmptyImage", "widgets_values": [64, 32, 1, 0], "outputs": [{"type": "IMAGE"}]},
        {"id": 2, "type": "SaveImage", "widgets_values": ["é%date:yyyy%"], "inputs": [slot], "title": "Keep"},
        {"id": 3, "type": "Note", "widgets_values": ["hello"]},
    ]  # fmt: skip
    return {"nodes": [*nodes, *more], "links": [[1, 1, 0, 2, 0, "IMAGE"]], "version": 0.4}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "ui.json"
    path.write_text(json.dumps(ui()), encoding="utf-8")
    return path


def test_convert_writes_to_stdout(run: Run, file: Path) -> None:
    code, said, talk = run("workflow", "convert", file)
    assert (code, talk) == (0, "")
    prompt = json.loads(said)
    year = time.strftime("%Y")
    assert prompt["2"] == {
        "inputs": {"filename_prefix": f"é{year}", "images": ["1", 0]},
        "class_type": "SaveImage",
        "_meta": {"title": "Keep"},
    }


def test_convert_writes_to_a_file(run: Run, file: Path, tmp_path: Path) -> None:
    code, said, talk = run("workflow", "convert", file, "-o", tmp_path / "api.json")
    assert (code, said) == (0, "")
    assert "2 nodes" in talk
    assert json.loads((tmp_path / "api.json").read_text(encoding="utf-8"))["1"]["inputs"]["width"] == 64


def test_convert_reads_standard_input_and_answers_in_json(run: Run, file: Path) -> None:
    code, said, _ = run("workflow", "convert", "-", "--json", given=file.read_bytes())
    (done,) = events(said)
    assert (code, done["event"], done["nodes"]) == (0, "done", 2)
    assert list(done["prompt"]) == ["1", "2"]


def test_convert_says_which_values_are_lost_and_takes_an_interface(
    run: Run, file: Path, tmp_path: Path
) -> None:
    file.write_text(json.dumps(ui({"id": 4, "type": "Strange", "widgets_values": [5]})), encoding="utf-8")
    code, said, talk = run("workflow", "convert", file)
    assert code == 1
    assert "the interface of 'Strange' is not known" in talk
    assert "4" in json.loads(said)
    info = tmp_path / "info.json"
    info.write_text(json.dumps({"Strange": {"input": {"required": {"a": ["INT"]}}}}), encoding="utf-8")
    code, said, talk = run("workflow", "convert", file, "--object-info", info)
    assert (code, talk) == (0, "")
    assert json.loads(said)["4"]["inputs"] == {"a": 5}


def test_convert_refuses_what_is_no_workflow(run: Run, tmp_path: Path) -> None:
    (tmp_path / "bad.json").write_text("{")
    code, said, talk = run("workflow", "convert", tmp_path / "bad.json", "-o", tmp_path / "api.json")
    assert (code, said) == (2, "")
    assert "bad.json" in talk
    assert not (tmp_path / "api.json").exists()


def test_check_says_every_problem(run: Run, random_home: Path, tmp_path: Path) -> None:
    prompt = json.loads(WORKFLOW.read_text(encoding="utf-8"))
    prompt["5"]["inputs"] |= {"steps": 0, "scheduler": "karas"}
    path = tmp_path / "broken.json"
    path.write_text(json.dumps(prompt), encoding="utf-8")
    code, said, talk = run("workflow", "check", path, WORKFLOW, "--home", random_home)
    assert code == 2
    assert said.splitlines() == [
        "node 5 (KSampler): input 'steps' is 0, the least is 1",
        "node 5 (KSampler): input 'scheduler': 'karas' is not one of its choices",
        "  hint: did you mean 'karras'?",
    ]
    assert f"{WORKFLOW}: nothing is wrong" in talk
    code, said, _ = run("workflow", "check", path, WORKFLOW, "--home", random_home, "--json")
    assert code == 2
    assert [event["event"] for event in events(said)] == ["problem", "problem", "done", "done"]
    assert [event.get("type") for event in events(said)[:2]] == [
        "value_smaller_than_min",
        "value_not_in_list",
    ]
    assert [event["status"] for event in events(said)[2:]] == ["error", "success"]


@pytest.mark.parametrize(
    "content",
    ["", "{", "[]", '{"1": ' * 200 + "1" + "}" * 200, '{"1": {"class_type": "A", "inputs": {"a": NaN}}}'],
    ids=["empty", "cut", "list", "deep", "nan"],
)
def test_check_goes_on_after_a_file_that_cannot_be_read(
    run: Run, content: str, random_home: Path, tmp_path: Path
) -> None:
    path = tmp_path / "bad.json"
    path.write_text(content)
    code, said, talk = run("workflow", "check", path, WORKFLOW, "--home", random_home, "--json")
    assert code == 2
    assert [(event["event"], event.get("status")) for event in events(said)] == [
        ("error", None),
        ("done", "error"),
        ("done", "success"),
    ]
    assert "Traceback" not in talk


def test_check_shows_the_first_of_many(run: Run, random_home: Path, tmp_path: Path) -> None:
    prompt = {str(key): {"class_type": f"Strange{key}", "inputs": {}} for key in range(500)}
    path = tmp_path / "many.json"
    path.write_text(json.dumps(prompt), encoding="utf-8")
    code, said, talk = run("workflow", "check", path, "--home", random_home)
    assert code == 2
    assert "... and 400 more; --json has them all" in said
    assert "500 problems" in talk
    assert len(events(run("workflow", "check", path, "--home", random_home, "--json")[1])) == 501


def test_show_for_people(run: Run, random_home: Path) -> None:
    code, said, talk = run("workflow", "show", WORKFLOW, "--home", random_home)
    assert (code, talk) == (0, "")
    lines = said.splitlines()
    order = [line.split()[0] for line in lines if line.lstrip()[:1].isdigit() and "." not in line.split()[0]]
    assert order[-1] == "7"
    assert any("latent_image from 4" in line for line in lines)
    assert any("checkpoints/" in line and "there" in line for line in lines)
    assert any(line.split()[0] == "5.scheduler" for line in lines if line.strip())


def test_show_in_json(run: Run, random_home: Path) -> None:
    code, said, _ = run("workflow", "show", WORKFLOW, "--home", random_home, "--json")
    told = events(said)
    assert code == 0
    assert {event["event"] for event in told} == {"node", "model", "done"}
    sampler = next(event for event in told if event.get("class_type") == "KSampler")
    assert {"input": "latent_image", "source": "4", "slot": 0} in sampler["feeds"]
    assert "seed" in sampler["values"]


def test_a_ui_form_runs(run: Run, random_home: Path, file: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    arguments = ["--home", random_home, "--output-dir", out, "--set", "Keep.filename_prefix=a"]
    code, said, talk = run("run", file, *arguments)
    assert code == 0, talk
    assert said == f"{out / 'a_00001_.png'}\n"


def test_a_ui_form_with_an_unknown_class_names_it(run: Run, random_home: Path, file: Path) -> None:
    file.write_text(json.dumps(ui({"id": 4, "type": "Strange", "widgets_values": [5]})), encoding="utf-8")
    code, _, talk = run("run", file, "--home", random_home)
    assert code == 2
    assert "there is no node class 'Strange'" in talk


def test_a_program_of_its_own(file: Path) -> None:
    """As a shell calls it."""
    command = [sys.executable, "-m", "comfykit", "workflow", "convert", "-"]
    process = subprocess.run(command, input=file.read_bytes(), capture_output=True, check=True, timeout=120)
    assert list(json.loads(process.stdout)) == ["1", "2"]
