"""`comfykit mirrors`, as a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from fetch_support import environment, serving

COMMAND = [sys.executable, "-c", "from comfykit.cli.app import main; main()", "mirrors"]


def mirrors(
    *arguments: str, home: Path, **variables: str
) -> tuple[subprocess.CompletedProcess[str], list[dict[str, Any]]]:
    """Run the command; also the records that it wrote."""
    kept = dict.fromkeys(("HF_ENDPOINT", "GITHUB_ENDPOINT", "HF_TOKEN", "CIVITAI_TOKEN"), "")
    done = subprocess.run(
        [*COMMAND, *arguments, "--home", str(home)],
        env={**environment(), **kept, "HOME": str(home), "XDG_CACHE_HOME": str(home / "cache"), **variables},
        capture_output=True,
        encoding="utf-8",
        timeout=60,
        check=False,
    )
    records = [json.loads(line) for line in done.stdout.splitlines()] if "--json" in arguments else []
    return done, records


def test_list_says_the_rules_in_their_order(tmp_path: Path) -> None:
    (tmp_path / "comfykit.toml").write_text(
        '[[mirrors]]\nfrom = "https://a.example/"\nto = "https://b.example/"\n'
    )
    done, records = mirrors("list", "--json", home=tmp_path, HF_ENDPOINT="https://m.example")
    assert done.returncode == 0
    assert [(rule["to"], rule["said_by"]) for rule in records[:3]] == [
        ("https://m.example/", "HF_ENDPOINT"),
        ("https://b.example/", "[[mirrors]] in comfykit.toml"),
        ("https://hf-mirror.com/", "comfykit"),
    ]
    plain, _ = mirrors("list", home=tmp_path)
    assert "https://b.example/" in plain.stdout
    assert "besides, with a checksum" in plain.stdout


def test_test_measures_addresses_and_their_mirrors(tmp_path: Path) -> None:
    with serving({"/m/a.pt": bytes(100_000)}) as server:
        rule = f'[[mirrors]]\nfrom = "{server.url}/"\nto = "{server.url}/m/"\n'
        (tmp_path / "comfykit.toml").write_text(rule)
        done, records = mirrors("test", "--json", f"{server.url}/a.pt", home=tmp_path)
        assert done.returncode == 0, done.stderr
        assert [(record["event"], record.get("works")) for record in records] == [
            ("source", False),
            ("source", True),
            ("done", None),
        ]
        assert records[1]["speed"] > 0
        plain, _ = mirrors("test", f"{server.url}/a.pt", home=tmp_path)
        assert plain.stdout.splitlines()[1].startswith("works")
        assert (tmp_path / "cache" / "comfykit" / "hosts.json").is_file()


def test_test_fails_where_nobody_gives_a_file(tmp_path: Path) -> None:
    with serving({}) as server:
        done, records = mirrors("test", "--json", f"{server.url}/a.pt", home=tmp_path)
    assert done.returncode == 1
    assert records[-1]["unreachable"] == [f"{server.url}/a.pt"]
    assert "nobody gives" in done.stderr


def test_tokens_that_others_can_read_stop_it(tmp_path: Path) -> None:
    toml = tmp_path / "comfykit.toml"
    toml.write_text('[tokens]\nhuggingface = "hush"\n')
    toml.chmod(0o644)
    done, _ = mirrors("list", home=tmp_path)
    assert done.returncode == 2
    assert "chmod 600" in done.stderr
    assert "hush" not in done.stderr
