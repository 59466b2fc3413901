"""A workflow may name a sampler or scheduler that only a pack has, and no class of that pack."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from compat_packs import ONE, PackHome

from comfykit.sampling import samplers, schedulers
from comfykit.services.run import Runner

ADDS = """
from comfy.samplers import KSampler, k_diffusion_sampling, SCHEDULER_HANDLERS, SCHEDULER_NAMES
from comfy.samplers import SchedulerHandler, normal_scheduler

NAMES = ["of_a_" + word for word in ("pack", "sampler")]
if NAMES[0] not in KSampler.SAMPLERS:
    for name in NAMES:
        KSampler.SAMPLERS.append(name)
        setattr(k_diffusion_sampling, "sample_" + name, k_diffusion_sampling.sample_euler)
    SCHEDULER_HANDLERS["levels_of_a_pack"] = SchedulerHandler(normal_scheduler)
    SCHEDULER_NAMES.append("levels_of_a_pack")
NODE_CLASS_MAPPINGS = {}
"""

CHOOSES = """
import comfy.samplers

class Chooses:
    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"sampler_name": (comfy.samplers.KSampler.SAMPLERS,)}}
    RETURN_TYPES = ()
    FUNCTION = "choose"
    OUTPUT_NODE = True
    def choose(self, sampler_name):
        return {"ui": {"text": [sampler_name]}}

NODE_CLASS_MAPPINGS = {"Chooses": Chooses}
"""


@pytest.fixture(autouse=True)
def lists_as_before() -> Iterator[None]:
    known = dict(samplers._SAMPLERS), dict(schedulers._SCHEDULERS)
    yield
    for table, before in zip((samplers._SAMPLERS, schedulers._SCHEDULERS), known, strict=True):
        for name in table.keys() - before.keys():
            del table[name]
    import comfykit.compat.host.comfy.samplers as host

    host.SCHEDULER_HANDLERS.pop("levels_of_a_pack", None)
    for names in (host.KSampler.SAMPLERS, host.SAMPLER_NAMES, host.SCHEDULER_NAMES, host.KSampler.SCHEDULERS):
        names[:] = [name for name in names if "of_a_" not in name]
    for name in [name for name in vars(host.k_diffusion_sampling) if name.startswith("sample_of_a_")]:
        delattr(host.k_diffusion_sampling, name)


def select(**inputs: Any) -> dict[str, Any]:
    """A workflow that names a sampler, and shows that it could be had."""
    return {
        "1": {"class_type": "KSamplerSelect", "inputs": inputs},
        "2": {"class_type": "PreviewAny", "inputs": {"source": ["1", 0]}},
    }


def loaded(home: PackHome, prompt: dict[str, Any]) -> tuple[list[str], tuple[Any, ...]]:
    """Packs that a run of a workflow imported, and its problems."""
    registry = home.registry()
    result = home.run(prompt, Runner(home.settings, registry=registry))
    return [pack.name for pack in registry.loaded], result.problems


def test_the_pack_that_adds_a_sampler_is_imported_for_its_name(home: PackHome) -> None:
    home.pack("Adds", ADDS)
    home.pack("Other", ONE)
    assert loaded(home, select(sampler_name="of_a_pack")) == (["Adds"], ())


def test_and_the_one_that_adds_a_scheduler(home: PackHome) -> None:
    home.pack("Adds", ADDS)
    inputs = {"scheduler": "levels_of_a_pack", "steps": 4, "denoise": 1.0, "model": ["none", 0]}
    packs, problems = loaded(home, select() | {"1": {"class_type": "BasicScheduler", "inputs": inputs}})
    assert packs == ["Adds"]
    assert all(problem.input != "scheduler" for problem in problems)


def test_classes_of_packs_offer_the_name_too(home: PackHome) -> None:
    home.pack("Adds", ADDS)
    home.pack("Chooses", CHOOSES)
    prompt = {"1": {"class_type": "Chooses", "inputs": {"sampler_name": "of_a_sampler"}}}
    assert loaded(home, prompt) == (["Chooses", "Adds"], ())


def test_a_name_that_no_pack_adds_is_a_problem_and_only_packs_that_add_any_are_imported(
    home: PackHome,
) -> None:
    home.pack("Adds", ADDS)
    home.pack("Speaks", "# 'nobody_has_it'\n" + ONE)
    packs, (problem,) = loaded(home, select(sampler_name="nobody_has_it"))
    assert packs == ["Adds"]
    assert problem.type == "value_not_in_list"


def test_packs_that_spell_the_name_come_first_and_no_more_are_imported(home: PackHome) -> None:
    home.pack("A", ADDS.replace("of_a_", "of_a_nother_"))
    home.pack("B", ADDS.replace('"of_a_" + word', "word").replace('"pack",', '"of_a_pack",'))
    assert loaded(home, select(sampler_name="of_a_pack")) == (["B"], ())
