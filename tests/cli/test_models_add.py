"""`comfykit models add`: names for addresses, as a process of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from fetch_support import environment, safetensors, serving

COMMAND = [sys.executable, "-c", "from comfykit.cli.app import main; main()", "models", "add"]


def add(url: str, *arguments: str, home: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, url, "--kind", "loras", "--home", str(home), *arguments],
        env={**environment(), "HOME": str(home), "XDG_CACHE_HOME": str(home / "cache"), "NO_PROXY": "*"},
        capture_output=True,
        encoding="utf-8",
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize(
    ("path", "arguments", "name"),
    [
        ("/a.safetensors", (), "a.safetensors"),
        ("/download", ("--name", "b.safetensors"), "b.safetensors"),
    ],
)
def test_a_model_gets_the_name_of_its_address_or_the_given_one(
    tmp_path: Path, path: str, arguments: tuple[str, ...], name: str
) -> None:
    with serving({path: safetensors()}) as server:
        done = add(server.url + path, *arguments, home=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "models" / "loras" / name).read_bytes() == safetensors()


def test_an_address_without_a_name_wants_one(tmp_path: Path) -> None:
    with serving({"/download": safetensors()}) as server:
        done = add(f"{server.url}/download", home=tmp_path)
        assert server.seen == []
    assert done.returncode == 2
    assert "--name" in done.stderr


def test_what_is_no_address_is_said(tmp_path: Path) -> None:
    done = add("hf://o/r", home=tmp_path)
    assert done.returncode == 2
    assert "names no file" in done.stderr
