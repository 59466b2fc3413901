from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from comfykit.errors import UsageError
from comfykit.sampling.table_schedules import ALIGN_YOUR_STEPS, align_your_steps, gits


@pytest.mark.parametrize("model_type", ALIGN_YOUR_STEPS)
def test_ten_steps_are_the_published_ones(model_type: str) -> None:
    sigmas = align_your_steps(model_type, 10)
    assert sigmas.dtype == torch.float32
    assert sigmas.tolist() == pytest.approx([*ALIGN_YOUR_STEPS[model_type][:-1], 0.0])


def test_other_numbers_of_steps_are_read_between_in_log_sigma() -> None:
    levels = ALIGN_YOUR_STEPS["SD1"]
    assert align_your_steps("SD1", 5).tolist() == pytest.approx([*levels[:-1:2], 0.0])
    doubled = align_your_steps("SD1", 20)
    assert doubled[:-1:2].tolist() == pytest.approx(levels[:-1])
    assert float(doubled[1]) == pytest.approx((levels[0] * levels[1]) ** 0.5)


def test_denoise_keeps_the_end() -> None:
    whole = align_your_steps("SDXL", 10)
    assert align_your_steps("SDXL", 10, denoise=0.4).tolist() == whole[-5:].tolist()
    assert len(align_your_steps("SDXL", 10, denoise=0.0)) == 0


def test_gits_beyond_its_tables_goes_on_between_their_last_levels() -> None:
    assert len(gits(1.2, 20)) == 21
    more = gits(1.2, 40)
    assert len(more) == 41
    assert more[:-1:2].tolist() == pytest.approx(gits(1.2, 20)[:-1].tolist(), rel=1e-5)
    assert gits(1.2, 10, denoise=0.5).tolist() == gits(1.2, 10)[-6:].tolist()


@pytest.mark.parametrize(("coeff", "steps"), [(0.7, 10), (1.23, 10), (1.2, 1)])
def test_gits_without_a_table_is_refused(coeff: float, steps: int) -> None:
    with pytest.raises(UsageError, match="no GITS schedule"):
        gits(coeff, steps)


def test_every_published_table_is_there(shared: Path) -> None:
    tables = json.loads((shared / "reference" / "tables.json").read_text(encoding="utf-8"))
    for coeff, rows in tables["gits"].items():
        for steps, row in enumerate(rows, start=2):
            assert gits(float(coeff), steps).tolist() == pytest.approx([*row[:-1], 0.0])
    for model_type, levels in tables["align_your_steps"].items():
        assert list(ALIGN_YOUR_STEPS[model_type]) == levels
