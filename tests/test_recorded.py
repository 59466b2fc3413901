from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import comfykit
import recorded_runs

VARIANTS = dict(recorded_runs.variants())
NUMBERS: dict[str, list[float]] = json.loads(recorded_runs.RECORDED.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def engine(random_home: Path, tmp_path_factory: pytest.TempPathFactory) -> comfykit.Engine:
    output = tmp_path_factory.mktemp("recorded")
    return comfykit.Engine(home=random_home, output_dir=output, device="cpu", precision="fp32")


def test_every_run_is_recorded() -> None:
    assert list(NUMBERS) == list(VARIANTS)


@pytest.mark.parametrize(("name", "inputs"), VARIANTS.items(), ids=list(VARIANTS))
def test_the_latent_is_the_recorded_one(engine: comfykit.Engine, name: str, inputs: dict[str, Any]) -> None:
    found, wanted = recorded_runs.shown(recorded_runs.latent_of(engine, inputs)), NUMBERS[name]
    scale = max(abs(value) for value in wanted)
    assert found == pytest.approx(wanted, abs=1e-3 * scale)
