from __future__ import annotations

import json

from typer.testing import CliRunner

from comfykit.cli.nodes import app

RUNNER = CliRunner()


def test_list_groups_by_category() -> None:
    result = RUNNER.invoke(app, ["list", "--category", "sampling"])
    assert result.exit_code == 0
    assert "KSampler" in result.stdout
    assert "VAEDecode" not in result.stdout


def test_list_as_json_has_a_class_on_a_line() -> None:
    result = RUNNER.invoke(app, ["list", "vaede*", "--json"])
    names = [json.loads(line)["name"] for line in result.stdout.splitlines()]
    assert "VAEDecode" in names


def test_show_documents_a_class() -> None:
    result = RUNNER.invoke(app, ["show", "KSampler"])
    assert result.exit_code == 0
    for word in ("steps", "1 to 10000", "scheduler", "outputs: LATENT", "Denoise a latent"):
        assert word in result.stdout


def test_show_as_json_is_object_info() -> None:
    result = RUNNER.invoke(app, ["show", "KSampler", "VAEDecode", "--json"])
    assert set(json.loads(result.stdout)) == {"KSampler", "VAEDecode"}
