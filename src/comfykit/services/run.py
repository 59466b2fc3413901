"""Run workflows: the use case behind `comfykit run`.

A `Runner` keeps what one workflow loaded and computed for the next, so that a batch pays for a model
once. It takes settings and a reporter and returns values; what a person sees is the caller's business.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from comfykit.compat.registry import PackRegistry
from comfykit.engine.executor import Executor
from comfykit.engine.graph import graph_from_prompt
from comfykit.engine.registry import Registry
from comfykit.engine.validate import Checked, Problem, validate
from comfykit.errors import ComfykitError, Interrupted, InvalidWorkflow, NodeFailed
from comfykit.events import Event, OutputSaved, Reporter, RunStarted, silent
from comfykit.memory import Residency
from comfykit.nodes.context import NodeContext
from comfykit.nodes.folders import use_folders
from comfykit.services.doctor import hint_for
from comfykit.services.environment import HomeEnvironment
from comfykit.settings import Settings
from comfykit.workflow.read import Workflow

File = Mapping[str, Any]  # {"filename", "subfolder", "type"}


@dataclass(frozen=True, slots=True)
class RunResult:
    """What became of a workflow.

    `outputs` has, for each output node that got so far, the files it wrote. `problems` are what
    validation found; those of outputs that could not run while others could. `error` ended the run.
    """

    workflow: str
    outputs: Mapping[str, list[File]] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()
    error: ComfykitError | None = None
    seconds: float = 0.0

    @property
    def succeeded(self) -> bool:
        """Whether every output was made."""
        return self.error is None and not self.problems


class Runner:
    """Runs workflows one after the other in this process."""

    def __init__(
        self, settings: Settings, reporter: Reporter = silent, registry: Registry | None = None
    ) -> None:
        self._settings = settings
        self._report = reporter
        self._registry = PackRegistry(settings, reporter) if registry is None else registry
        self._environment = HomeEnvironment(settings)
        self._executor = Executor(self._registry)
        self._residency = Residency(settings.device, settings.precision)

    def check(self, workflow: Workflow) -> Checked:
        """Every problem of a workflow, without loading a model."""
        graph = graph_from_prompt(workflow.prompt)
        with use_folders(self._settings):
            self._registry.prepare_graph(graph)
            return validate(graph, self._registry, self._environment)

    def run(self, workflow: Workflow, stopped: Callable[[], bool] = lambda: False) -> RunResult:
        """Run a workflow; what goes wrong is in the result.

        Outputs that are invalid are left out when others can run, as ComfyUI does.
        Raises `Interrupted` once `stopped()` is true.
        """
        begin = time.monotonic()
        saved: dict[str, list[File]] = {}

        def report(event: Event) -> None:
            if isinstance(event, OutputSaved):
                saved[event.node] = files_of(event.ui)
            self._report(event)

        checked = self.check(workflow)
        self._report(RunStarted(workflow.name, len(checked.graph)))
        error: ComfykitError | None = None
        if checked.error:
            error = invalid(workflow, checked)
        else:
            try:
                self._execute(workflow, checked, report, stopped)
            except Interrupted:
                raise
            except NodeFailed as failure:
                error = self._explained(failure)
        return RunResult(workflow.name, saved, checked.problems, error, time.monotonic() - begin)

    def values_of(self, node: str, slot: int) -> Sequence[Any]:
        """The values that an output of a node had in the last run, empty where they were not kept."""
        return self._executor.values_of(node, slot)

    def _execute(
        self, workflow: Workflow, checked: Checked, report: Reporter, stopped: Callable[[], bool]
    ) -> None:
        def context(node: str) -> NodeContext:
            return NodeContext(node, self._settings, self._residency, report, stopped)

        with torch.inference_mode(), use_folders(self._settings):
            self._executor.run(
                checked,
                prompt=workflow.prompt,
                extra_pnginfo=workflow.extra_pnginfo,
                context=context,
                reporter=report,
                stopped=stopped,
            )

    def _explained(self, failure: NodeFailed) -> NodeFailed:
        """Memory that ran out is given back; the hint says what would need less, or what the doctor knows."""
        if isinstance(failure.__cause__, torch.OutOfMemoryError | MemoryError):
            self._residency.clear()
            failure.hint = "not enough memory: a smaller picture or batch needs less, or --precision bf16"
        else:
            failure.hint = hint_for(failure, failure.hint)
        return failure


def invalid(workflow: Workflow, checked: Checked) -> InvalidWorkflow:
    """The error of a workflow that cannot run at all."""
    count = len(checked.problems)
    return InvalidWorkflow(
        f"{workflow.name} cannot run: {count} problem{'s' if count != 1 else ''}",
        type=checked.error,
        problems=checked.problems,
    )


def files_of(ui: Mapping[str, list[Any]]) -> list[File]:
    """The files among what an output node showed."""
    return [
        item for items in ui.values() for item in items if isinstance(item, Mapping) and "filename" in item
    ]
