from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from comfykit.doctor.export import export, read
from comfykit.doctor.facts import Facts
from comfykit.doctor.schema import from_plain, to_plain
from comfykit.doctor.sources.models import Broken, Models
from comfykit.doctor.sources.storage import Storage
from comfykit.errors import UsageError


def test_facts_come_back_as_they_were(healthy: Facts) -> None:
    assert from_plain(Facts, json.loads(json.dumps(to_plain(healthy)))) == healthy


def test_what_has_its_default_is_left_out() -> None:
    assert to_plain(Facts()) == {}


@pytest.mark.parametrize(
    ("plain", "said"),
    [
        ({"torhc": {}}, "facts: nobody knows the fact 'torhc'"),
        ({"python": {"version": 3}}, "facts.python.version: expected str, found 3"),
        ({"python": "3.12"}, "facts.python: expected a table"),
        ({"driver": {"gpus": {"name": "x"}}}, "facts.driver.gpus: expected a list"),
        ({"driver": {"gpus": [{"name": "x", "compute": [8]}]}}, "expected 2 values"),
        ({"memory": {}}, "missing 2 required positional arguments"),
        ({"packages": []}, "facts.packages: expected a table"),
    ],
)
def test_what_does_not_fit_is_named(plain: dict[str, object], said: str) -> None:
    with pytest.raises(UsageError, match=re.escape(said)):
        from_plain(Facts, plain)


def test_a_file_of_either_form_is_read(tmp_path: Path) -> None:
    toml, text = tmp_path / "m.toml", tmp_path / "m.json"
    toml.write_text('report = { source = "https://x" }\npackages = { torch = "2.5.1+cu121" }\n')
    text.write_text('{"packages": {"torch": "2.5.1+cu121"}}')
    assert read(toml) == read(text)
    assert read(toml).torch_cuda == "12.1"


@pytest.mark.parametrize("content", ["{", "[1]", None])
def test_a_file_that_cannot_be_read_is_an_error(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "m.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(UsageError):
        read(path)


def test_an_export_has_no_names_tokens_or_paths(
    healthy: Facts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("getpass.getuser", lambda: "annabel")
    home = Path("/home/annabel/comfykit")
    model = home / "models" / "loras" / "my-secret-face.safetensors"
    facts = replace(
        healthy,
        storage=Storage(home, home, "/home/annabel: full", 1),
        models=Models(1, broken=(Broken(model, f"{model} is cut off"),)),
        said=(
            "OSError: /home/annabel/venv/lib/x.so: undefined symbol: _ZN3c105Error",
            r"FileNotFoundError: C:\Users\annabel\models\x.ckpt",
            "GET https://annabel:hunter2@host/x?token=abc123 failed with hf_abcdefghijkl",
            "mail ann@example.com",
        ),
    )
    text = export(facts)
    for secret in ("annabel", "hunter2", "abc123", "hf_abc", "my-secret-face", "ann@example", "/usr/bin"):
        assert secret not in text
    assert "undefined symbol: _ZN3c105Error" in text
    path = tmp_path / "facts.json"
    path.write_text(text)
    again = read(path)
    assert again.gpus == facts.gpus
    assert again.models
    assert again.models.broken[0].path == Path("loras/1.safetensors")
