from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from random_weights import WORKFLOW

COMMAND = [sys.executable, "-c", "from comfykit.cli.app import main; main()", "run"]

ONE_THREAD = {**os.environ, "OMP_NUM_THREADS": "1"}  # sums in one order, so that pictures are the same


@pytest.fixture
def workflow(tmp_path: Path) -> Path:
    """The workflow on random weights, small, in a folder of its own."""
    prompt = json.loads(WORKFLOW.read_text(encoding="utf-8"))
    prompt["4"]["inputs"] |= {"width": 64, "height": 64}
    prompt["5"]["inputs"]["steps"] = 2
    path = tmp_path / "small.json"
    path.write_text(json.dumps(prompt), encoding="utf-8")
    return path


def start(home: Path, output: Path, *arguments: object, **options: Any) -> subprocess.Popen[str]:
    options = {"stdin": subprocess.DEVNULL, **options}
    return subprocess.Popen(
        [*COMMAND, *map(str, arguments), "--home", str(home), "--output-dir", str(output)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=ONE_THREAD,
        **options,
    )


def run(home: Path, output: Path, *arguments: object, given: str | None = None) -> tuple[int, str, str]:
    options = {} if given is None else {"stdin": subprocess.PIPE}
    process = start(home, output, *arguments, **options)
    said, talk = process.communicate(given, timeout=120)
    return process.returncode, said, talk


def events(said: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in said.splitlines()]


def test_files_go_to_stdout_and_talk_to_stderr(random_home: Path, workflow: Path, tmp_path: Path) -> None:
    code, said, talk = run(random_home, tmp_path / "out", workflow)
    assert code == 0, talk
    assert said == f"{tmp_path / 'out' / 'demo_00001_.png'}\n"
    assert "KSampler (5): 2 steps" in talk
    assert "small.json: done" in talk


def test_json_tells_every_event_and_ends_with_done(random_home: Path, workflow: Path, tmp_path: Path) -> None:
    code, said, _ = run(random_home, tmp_path / "out", workflow, workflow, "--json", "--seed", 3)
    assert code == 0
    told = events(said)
    assert {event["event"] for event in told} == {"start", "node", "progress", "output", "done"}
    done = [event for event in told if event["event"] == "done"]
    file = {"filename": "demo_00001_.png", "subfolder": "", "type": "output"}
    assert [event["outputs"] for event in done] == [{"7": [file]}, {"7": [file]}]
    assert {event["status"] for event in done} == {"success"}
    assert {event["workflow"] for event in done} == {str(workflow)}
    assert [event["value"] for event in told if event["event"] == "progress"] == [1, 2], (
        "the second is cached"
    )


def test_a_picture_is_fed_back_through_standard_input(
    random_home: Path, workflow: Path, tmp_path: Path
) -> None:
    assert run(random_home, tmp_path / "out", workflow, "--seed", 11)[0] == 0
    first = tmp_path / "out" / "demo_00001_.png"
    process = subprocess.run(
        [*COMMAND, "-", "--home", str(random_home), "--output-dir", str(tmp_path / "again"), "--json"],
        input=first.read_bytes(), capture_output=True, check=True, timeout=120, env=ONE_THREAD,
    )  # fmt: skip
    assert events(process.stdout.decode())[-1]["workflow"] == "<stdin>"
    with Image.open(first) as one, Image.open(tmp_path / "again" / "demo_00001_.png") as two:
        assert one.tobytes() == two.tobytes()
        assert json.loads(two.info["prompt"])["5"]["inputs"]["seed"] == 11


def test_inputs_are_set_by_id_and_by_title(random_home: Path, workflow: Path, tmp_path: Path) -> None:
    code, _, talk = run(
        random_home, tmp_path / "out", workflow,
        "--set", "Positive.text=a cat", "--set", "7.filename_prefix=cat",
    )  # fmt: skip
    assert code == 0, talk
    with Image.open(tmp_path / "out" / "cat_00001_.png") as picture:
        assert json.loads(picture.info["prompt"])["2"]["inputs"]["text"] == "a cat"


def test_what_cannot_be_run_exits_with_2_and_names_everything(
    random_home: Path, workflow: Path, tmp_path: Path
) -> None:
    code, said, talk = run(
        random_home, tmp_path / "out", workflow, "--json", "--set", "5.steps=0", "--set", "5.scheduler=karas"
    )  # fmt: skip
    assert code == 2
    error = next(event for event in events(said) if event["event"] == "error")
    assert error["code"] == "invalid_workflow"
    assert sorted(problem["type"] for problem in error["problems"]) == [
        "value_not_in_list",
        "value_smaller_than_min",
    ]
    done = events(said)[-1]
    assert (done["event"], done["status"], done["outputs"]) == ("done", "error", {})
    assert "node 5 (KSampler): input 'steps' is 0, the least is 1" in talk
    assert "did you mean 'karras'?" in talk
    assert not (tmp_path / "out").exists()


def test_a_missing_file_exits_with_2_before_torch_is_imported(random_home: Path, tmp_path: Path) -> None:
    code, said, talk = run(random_home, tmp_path / "out", tmp_path / "none.json", "--json")
    assert code == 2
    assert "none.json" in talk
    assert [event["event"] for event in events(said)] == ["error", "done"]


def test_a_failing_run_exits_with_1(random_home: Path, workflow: Path, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file where the folder should be")
    code, said, talk = run(random_home, tmp_path / "out", workflow, "--json")
    assert code == 1
    error = next(event for event in events(said) if event["event"] == "error")
    assert (error["node_id"], error["node_type"]) == ("7", "SaveImage")
    assert "node 7 (SaveImage) failed" in talk


def test_the_first_failure_ends_a_batch_unless_told_to_go_on(
    random_home: Path, workflow: Path, tmp_path: Path
) -> None:
    broken = tmp_path / "broken.json"
    broken.write_text("{")
    code, said, _ = run(random_home, tmp_path / "out", broken, workflow)
    assert (code, said) == (2, "")
    code, said, _ = run(random_home, tmp_path / "out", broken, workflow, "--keep-going")
    assert code == 2
    assert said.endswith("demo_00001_.png\n")


def test_unusable_settings_exit_with_2(random_home: Path, workflow: Path, tmp_path: Path) -> None:
    code, _, talk = run(random_home, tmp_path / "out", workflow, "--precision", "fp12")
    assert code == 2
    assert "fp12" in talk
    assert "bf16" in talk


def test_an_interrupt_stops_at_the_next_step_and_leaves_nothing_half_done(
    random_home: Path, workflow: Path, tmp_path: Path
) -> None:
    process = start(random_home, tmp_path / "out", workflow, "--json", "--set", "5.steps=10000")
    assert process.stdout is not None
    for line in process.stdout:
        if json.loads(line)["event"] == "progress":
            process.send_signal(signal.SIGINT)
            break
    said, talk = process.communicate(timeout=60)
    assert process.returncode == 130, talk
    assert events(said)[-1]["status"] == "error"
    assert "interrupted" in talk
    assert "Traceback" not in talk
    assert not (tmp_path / "out").exists() or not list((tmp_path / "out").iterdir())
