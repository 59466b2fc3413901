"""What `comfykit run` says while it works: a bar, pictures and sentences on stderr, files on stdout."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from comfykit.cli.output import Output
from comfykit.errors import ComfykitError, InvalidWorkflow
from comfykit.events import (
    Event,
    NodeBlocked,
    NodeEnded,
    NodePreview,
    NodeProgress,
    NodeStarted,
    OutputSaved,
    PackStep,
    RunStarted,
    Warned,
)

if TYPE_CHECKING:
    from comfykit.cli.live import LiveBar
    from comfykit.cli.pictures.gallery import Gallery
    from comfykit.services.run import File, RunResult
    from comfykit.settings import Settings


class RunReport:
    """A `Reporter` of the runs of one call.

    On a terminal one line shows the node at work, its steps and their speed, above it previews where
    settings ask for them; and with `show` pictures appear as they are saved. Elsewhere each node that took
    steps gets a line when it ends.
    """

    def __init__(self, output: Output, settings: Settings, *, show: bool = True) -> None:
        self._output = output
        self._shows = show
        self._previews = settings.preview_method != "none"
        self._places = {"output": settings.output_dir, "input": settings.input_dir, "temp": settings.temp_dir}
        self._workflow = ""
        self._bar: LiveBar | None = None
        self._gallery: Gallery | None = None
        self._steps: tuple[float, int, NodeProgress] | None = (
            None  # when the first ended, its number, the last
        )
        self._handlers: Mapping[type[Event], Callable[[Any], None]] = {
            RunStarted: self._run_started,
            NodeStarted: self._node_started,
            NodeProgress: self._node_progress,
            NodePreview: self._node_preview,
            NodeEnded: self._node_ended,
            NodeBlocked: self._node_blocked,
            OutputSaved: self._output_saved,
            PackStep: self._pack_step,
            Warned: lambda event: self._output.warn(event.message, event.hint),
        }

    def __enter__(self) -> RunReport:
        if self._output.as_json:
            return self
        if self._shows or self._previews:
            self._gallery = _gallery(self._output)
        console = self._output.console(stderr=True)
        if console.is_terminal:
            from comfykit.cli.live import LiveBar

            self._bar = LiveBar(console)
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def __call__(self, event: Event) -> None:
        """Take an event of a run."""
        handle = self._handlers.get(type(event))
        if handle is not None:
            handle(event)

    def begin(self, workflow: str) -> None:
        """The next workflow, by the name the user gave."""
        self._workflow = workflow
        self._steps = None

    def warn_of(self, warnings: Sequence[str]) -> None:
        """What is odd about the workflow and stops nothing."""
        for warning in warnings:
            self._output.warn(f"{self._workflow}: {warning}")

    def preparing(self) -> None:
        """Torch and the nodes are being imported."""
        self._show("starting")

    def refused(self, error: ComfykitError) -> None:
        """The workflow could not be run, or was interrupted."""
        self._clear()
        self._error(error)
        self._done("error", {}, 0.0)

    def ended(self, result: RunResult) -> None:
        """The workflow ran, to its end or to an error."""
        self._clear()
        if result.error is not None:
            self._error(result.error)
        elif result.problems:
            left_out = f"{self._workflow}: outputs that have problems were left out"
            self._error(InvalidWorkflow(left_out, problems=result.problems))
        self._done("success" if result.succeeded else "error", result.outputs, result.seconds)

    def _error(self, error: ComfykitError) -> None:
        facts = {name: value for name, value in error.facts.items() if name != "problems"}
        problems = error.facts.get("problems")
        problems = problems if isinstance(problems, tuple) else ()
        if problems:
            facts["problems"] = [asdict(problem) for problem in problems]
        facts |= {"workflow": self._workflow, "code": error.code}
        self._output.error(_naming(self._workflow, str(error)), error.hint, facts)
        for problem in problems:
            self._output.say(f"  {problem}")
            if problem.hint:
                self._output.say(f"    hint: {problem.hint}")

    def _done(self, status: str, outputs: Mapping[str, list[File]], seconds: float) -> None:
        self._output.record(
            event="done",
            workflow=self._workflow,
            status=status,
            outputs=outputs,
            seconds=round(seconds, 3),
        )
        if status == "success":
            self._output.say(f"{self._workflow}: done in {seconds:.1f} s", style="green")

    def _pack_step(self, event: PackStep) -> None:
        self._output.record(event="step", pack=event.pack, doing=event.doing)
        self._output.say(f"{event.pack}: {event.doing}")

    def _run_started(self, event: RunStarted) -> None:
        self._output.record(event="start", workflow=self._workflow, nodes=event.nodes)

    def _node_started(self, event: NodeStarted) -> None:
        self._steps = None
        self._show(_name(event))
        self._output.record(event="node", **_node_fields(event), status="started")

    def _node_progress(self, event: NodeProgress) -> None:
        now = time.monotonic()
        begin, first, _ = self._steps or (now, event.value, event)
        self._steps = (begin, first, event)
        speed = _speed(event.value - first, now - begin, event.label)
        self._output.record(
            event="progress", node=event.node, value=event.value, total=event.total, label=event.label
        )
        if self._bar is not None:
            self._bar.advance(event.value, event.total, speed)

    def _node_preview(self, event: NodePreview) -> None:
        if self._previews and self._bar is not None and self._gallery is not None and self._gallery.live:
            self._bar.preview(self._gallery.preview(event.picture))

    def _node_ended(self, event: NodeEnded) -> None:
        status = "cached" if event.cached else "finished"
        self._output.record(
            event="node", **_node_fields(event), status=status, seconds=round(event.seconds, 3)
        )
        if self._steps is not None and not event.cached and not self._output.as_json:
            self._output.say(f"{_name(event)}: {self._steps[2].total} steps in {event.seconds:.1f} s")
        self._steps = None

    def _node_blocked(self, event: NodeBlocked) -> None:
        said = f"{_name(event)} did not run: {event.message}"
        self._output.error(said, None, {"workflow": self._workflow, "code": "blocked", "node_id": event.node})

    def _output_saved(self, event: OutputSaved) -> None:
        from comfykit.services.run import files_of

        files = files_of(event.ui)
        self._output.record(event="output", node=event.node, class_type=event.class_type, files=files)
        paths = [self._path(file) for file in files]
        for path in paths:
            self._output.line(str(path))
        if self._shows and self._gallery is not None:
            self._gallery.show(paths)

    def _path(self, file: File) -> Path:
        folder = self._places.get(str(file.get("type")), Path())
        return folder / str(file.get("subfolder", "")) / str(file["filename"])

    def _show(self, description: str) -> None:
        """Put a new description on the line of a terminal."""
        if self._bar is not None:
            self._bar.show(description)

    def _clear(self) -> None:
        if self._bar is not None:
            self._bar.clear()


def _gallery(output: Output) -> Gallery | None:
    """Where pictures are shown: on stderr, or on stdout where that alone is a terminal."""
    consoles = (output.console(stderr=stderr) for stderr in (True, False))
    console = next((console for console in consoles if console.is_terminal), None)
    if console is None:
        return None
    from comfykit.cli.pictures.gallery import Gallery
    from comfykit.cli.pictures.terminal import detect

    return Gallery(console, detect(console))


def _name(event: NodeStarted | NodeEnded | NodeBlocked) -> str:
    return f"{event.title or event.class_type} ({event.node})"


def _node_fields(event: NodeStarted | NodeEnded) -> dict[str, str]:
    return {"node": event.node, "class_type": event.class_type, "title": event.title}


def _naming(workflow: str, said: str) -> str:
    """A sentence that names the workflow as the user did."""
    return said if workflow in said else f"{workflow}: {said.removeprefix(Path(workflow).name + ': ')}"


def _speed(steps: int, seconds: float, label: str) -> str:
    """Steps per second, or seconds per step where that says more."""
    if steps < 1 or seconds <= 0:
        return ""
    rate = steps / seconds
    return f"{rate:.2f} {label}s/s" if rate >= 1 else f"{1 / rate:.2f} s/{label}"
