from __future__ import annotations

import json
from pathlib import Path

from comfykit.doctor.interface import Finding, Status
from comfykit.services.doctor import Diagnosis, examine, hint_for
from comfykit.services.repair import plan, repair
from comfykit.services.workflow_needs import HEADROOM, needs_of
from comfykit.settings import resolve


def test_every_check_has_its_say_in_order(tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "page.safetensors").write_text("<html>")
    settings = resolve({"home": tmp_path, "device": "cpu"}, environment={}, cwd=tmp_path)
    diagnosis = examine(settings, deep=True)
    names = list(dict.fromkeys(finding.check for finding in diagnosis.findings))
    assert names[:2] == ["python", "torch"]
    assert names[-3:] == ["home", "disk", "models"]
    (broken,) = [finding for finding in diagnosis.findings if finding.check == "models"]
    assert broken.status is Status.FAILURE
    assert "page.safetensors" in broken.message


def test_counts() -> None:
    ok, warning = Finding("a", Status.OK, "fine"), Finding("b", Status.WARNING, "hm")
    diagnosis = Diagnosis((ok, warning, warning))
    assert [diagnosis.count(status) for status in Status] == [1, 2, 0]


def test_facts_of_another_machine(tmp_path: Path) -> None:
    machine = tmp_path / "machine.toml"
    machine.write_text('packages = { torch = "2.12.0+cpu", torchvision = "0.20.0+cpu" }\n')
    settings = resolve({"home": tmp_path}, environment={}, cwd=tmp_path)
    diagnosis = examine(settings, facts=machine)
    assert [finding.code for finding in diagnosis.findings if finding.code] == ["CK205"]


def test_the_needs_of_a_workflow(tmp_path: Path) -> None:
    header = b'{"model.diffusion_model.w":{"dtype":"F32","shape":[64],"data_offsets":[0,256]}}'
    model = tmp_path / "models" / "checkpoints" / "sd.safetensors"
    model.parent.mkdir(parents=True)
    model.write_bytes(len(header).to_bytes(8, "little") + header + bytes(256))
    workflow = tmp_path / "w.json"
    names = ("sd.safetensors", "gone.safetensors")
    nodes = {str(at): {"class_type": "Load", "inputs": {"name": name}} for at, name in enumerate(names)}
    workflow.write_text(json.dumps(nodes))
    needs = needs_of(str(workflow), resolve({"home": tmp_path}, environment={}, cwd=tmp_path))
    assert needs.models == ("gone.safetensors",)
    assert needs.gpu == HEADROOM + 128  # in half precision
    assert needs.main == HEADROOM + model.stat().st_size


def test_an_error_of_a_node_names_the_finding_that_explains_it() -> None:
    error = RuntimeError("the node failed")
    error.__cause__ = RuntimeError("CUDA error: no kernel image is available for execution on the device")
    hint = hint_for(error)
    assert hint is not None
    assert "CK305" in hint
    assert hint_for(ValueError("bad seed"), "as it was") == "as it was"


def test_commands_run_once_and_removals_first() -> None:
    remove, install = ("rm", "-r", "x"), ("uv", "pip", "install", "y")
    findings = [Finding("a", Status.FAILURE, "", commands=(install,)) for _ in range(2)]
    findings.append(Finding("b", Status.FAILURE, "", commands=(remove,)))
    assert plan(findings) == (remove, install)


def test_a_command_that_fails_is_told_and_keeps_no_other(tmp_path: Path) -> None:
    settings = resolve({"home": tmp_path}, environment={}, cwd=tmp_path)
    page = tmp_path / "page.safetensors"
    page.touch()
    folder = ("rm", "-r", str(tmp_path))
    result = repair([("false",), folder, ("rm", "-r", str(page))], settings)
    assert [words for words, _ in result.failed] == [("false",), folder]
    assert not page.exists()
    assert "pytest==" in result.snapshot.read_text()
