"""Samplers and schedulers that packs add by name: to `KSampler.SAMPLERS`, `SCHEDULER_NAMES` or their like.

`take_names` makes them known to our own samplers, `with_names` to the choices of our node classes;
`unknown_names` are those that a workflow wants and nobody has added yet.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from comfykit.engine.graph import Graph
from comfykit.engine.registry import Registry
from comfykit.engine.schema import NodeClass
from comfykit.sampling.samplers import SAMPLERS, add_sampler
from comfykit.sampling.schedulers import SCHEDULERS, add_scheduler

_SAMPLERS, _SCHEDULERS = tuple(SAMPLERS), tuple(SCHEDULERS)


def take_names() -> bool:
    """Look for names that packs added; whether there are new ones. Packs that add some import the lists."""
    samplers: Any = sys.modules.get("comfykit.compat.host.comfy.samplers")
    if samplers is None:
        return False

    from comfykit.compat.pack_samplers import spec_of
    from comfykit.compat.pack_schedules import engine_scheduler

    before = len(SAMPLERS) + len(SCHEDULERS)
    for name in _once(samplers.KSampler.SAMPLERS, samplers.SAMPLER_NAMES):
        if name not in SAMPLERS and hasattr(samplers.k_diffusion_sampling, f"sample_{name}"):
            add_sampler(name, spec_of(samplers.sampler_object(name)))
    for name in _once(samplers.KSampler.SCHEDULERS, samplers.SCHEDULER_HANDLERS):
        handler = samplers.SCHEDULER_HANDLERS.get(name)
        if name not in SCHEDULERS and handler is not None:
            add_scheduler(name, engine_scheduler(handler))
    return len(SAMPLERS) + len(SCHEDULERS) > before


def is_known(name: str) -> bool:
    """Whether there is a sampler or scheduler of that name by now."""
    return name in SAMPLERS or name in SCHEDULERS


def unknown_names(graph: Graph, registry: Registry) -> list[str]:
    """Samplers and schedulers that nodes of a workflow name and that are none of their choices."""
    found: dict[str, None] = {}
    for node in graph:
        entry = registry.get(node.class_type)
        for name, spec in entry.inputs.items() if entry is not None else ():
            value = node.inputs.get(name)
            if isinstance(value, str) and isinstance(spec.choices, tuple) and value not in spec.choices:
                choices = {choice for choice in spec.choices if isinstance(choice, str)}
                if choices.issuperset(_SAMPLERS) or choices.issuperset(_SCHEDULERS):
                    found[value] = None
    return list(found)


def with_names(entry: NodeClass) -> NodeClass:
    """A class of ours whose choices of samplers and schedulers have those of packs too."""
    wider = {_SAMPLERS: tuple(SAMPLERS), _SCHEDULERS: tuple(SCHEDULERS)}
    inputs = {
        name: replace(spec, choices=wider[spec.choices])
        if isinstance(spec.choices, tuple) and spec.choices in wider
        else spec
        for name, spec in entry.inputs.items()
    }
    return entry if inputs == entry.inputs else replace(entry, inputs=inputs)


def _once(*lists: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(name for some in lists for name in some))
