"""A workflow's models fit into the memory that is there, and nothing it names is missing."""

from __future__ import annotations

from collections.abc import Iterator

from comfykit.doctor.catalogue import finding, fine
from comfykit.doctor.facts import Facts
from comfykit.doctor.interface import Finding
from comfykit.doctor.units import size


def check(facts: Facts) -> Iterator[Finding]:
    """Judge the needs of a workflow, where one was given."""
    needs = facts.needs
    if needs is None:
        return
    if needs.models:
        yield finding("CK803", f"{needs.name} names models that are not there: {', '.join(needs.models)}")
    free = max((gpu.free if gpu.free is not None else gpu.memory or 0 for gpu in facts.gpus), default=0)
    tight = False
    if free and facts.device != "cpu" and needs.gpu > free:
        tight = True
        yield finding("CK801", f"{needs.name} needs {size(needs.gpu)} on the GPU, and {size(free)} are free")
    if facts.memory and needs.main > facts.memory.available:
        tight = True
        free = facts.memory.available
        said = f"{needs.name} needs {size(needs.main)} of main memory, and {size(free)} are free"
        yield finding("CK802", said)
    if not tight and needs.main:
        yield fine(
            "workflow", f"{needs.name} needs {size(needs.main)} of main memory, {size(needs.gpu)} on a GPU"
        )
