from __future__ import annotations

import pkgutil
from dataclasses import replace

from comfykit.doctor import checks
from comfykit.doctor.checks import CHECKS
from comfykit.doctor.facts import Facts
from comfykit.doctor.interface import Status
from comfykit.doctor.sources.driver import Driver
from comfykit.doctor.sources.libraries import Numpy, Torch
from comfykit.doctor.sources.memory import Memory
from comfykit.doctor.sources.models import Models
from comfykit.doctor.sources.runtime import Python


def test_a_healthy_machine_has_nothing_but_ok(healthy: Facts) -> None:
    findings = [finding for check in CHECKS for finding in check(healthy)]
    assert {finding.status for finding in findings} == {Status.OK}
    assert not [finding for finding in findings if finding.hint]


def test_every_file_of_the_package_is_in_the_list() -> None:
    files = {module.name for module in pkgutil.iter_modules(checks.__path__)}
    assert {check.__module__.rpartition(".")[2] for check in CHECKS} == files


def test_every_problem_has_a_hint_and_none_raises_on_a_machine_with_nothing(healthy: Facts) -> None:
    nothing = replace(
        healthy,
        python=Python("3.8", "python"),
        packages={},
        numpy=Numpy(None),
        torch=Torch(None),
        driver=Driver(),
        memory=Memory(0, 0),
        storage=replace(healthy.storage, error="read-only", free=0),
        models=Models(),
        device="cuda",
    )
    findings = [finding for check in CHECKS for finding in check(nothing)]
    assert {finding.check for finding in findings if finding.status is Status.FAILURE} >= {
        "python",
        "torch",
        "numpy",
        "transformers",
        "scipy",
        "gpu",
        "home",
        "disk",
    }
    assert not [finding for finding in findings if finding.status is not Status.OK and not finding.hint]
