"""A workflow's models fit into the memory that is there, and nothing it names is missing."""

from __future__ import annotations

from collections.abc import Iterator

from comfykit.doctor.catalogue import finding, fine
from comfykit.doctor.facts import Facts, Needs
from comfykit.doctor.interface import Finding
from comfykit.doctor.units import size


def check(facts: Facts) -> Iterator[Finding]:
    """Judge the needs of a workflow, where one was given."""
    needs = facts.needs
    if needs is None:
        return
    if needs.models:
        yield finding("CK803", f"{needs.name} names models that are not there: {', '.join(needs.models)}")
    if needs.classes:
        yield _classes(facts, needs)
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


def _classes(facts: Facts, needs: Needs) -> Finding:
    """Classes that nobody has, and the command that brings those of known packs."""
    packs = sorted({pack for pack in needs.classes.values() if pack})
    unknown = [name for name, pack in needs.classes.items() if not pack]
    hint = f"look for {', '.join(unknown)} at https://registry.comfy.org" if unknown else None
    commands = [("comfykit", "install-nodes", *packs)] if packs else []
    named = [f"{name} (of {pack})" if pack else name for name, pack in needs.classes.items()]
    said = f"{needs.name} names node classes that nobody here has: {', '.join(named)}"
    # A pack is code of a stranger: installing it is not for `--fix` to do.
    return finding("CK804", said, hint=hint, commands=commands, repairable=False)
