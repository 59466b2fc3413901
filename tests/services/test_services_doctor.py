from __future__ import annotations

from pathlib import Path

from comfykit.doctor.interface import Finding, Status
from comfykit.services.doctor import Diagnosis, examine
from comfykit.settings import resolve


def test_every_check_has_its_say_in_order(tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "page.safetensors").write_text("<html>")
    diagnosis = examine(resolve({"home": tmp_path, "device": "cpu"}, environment={}, cwd=tmp_path))
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
