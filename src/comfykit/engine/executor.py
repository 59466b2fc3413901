"""From a checked graph to its outputs: runs what is not known yet, in an order that `Schedule` gives."""

from __future__ import annotations

import inspect
import time
import traceback
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from comfykit.engine.background import Background
from comfykit.engine.cache import Cache, Entry
from comfykit.engine.calls import Gathered, blocker_in, calls, collect, gather, merge_ui, normalise
from comfykit.engine.graph import Graph, Node, is_link, upstream
from comfykit.engine.registry import Registry
from comfykit.engine.schedule import Schedule
from comfykit.engine.schema import Body, NodeClass
from comfykit.engine.signature import sign
from comfykit.engine.validate import Checked
from comfykit.engine.values import ExecutionBlocker, NodeOutput
from comfykit.errors import ComfykitError, Interrupted, NodeFailed
from comfykit.events import NodeBlocked, NodeEnded, NodeStarted, OutputSaved, Reporter, silent

Outputs = dict[str, Mapping[str, list[Any]]]


class Executor:
    """Runs workflows one after the other; results and node states outlive a run."""

    def __init__(self, registry: Registry, cache: Cache | None = None) -> None:
        self.registry = registry
        self.cache = Cache() if cache is None else cache
        self._bodies: dict[tuple[str, str], Body] = {}
        self._keys: Mapping[str, str] = {}

    def values_of(self, node: str, slot: int) -> list[Any]:
        """The values of a node's output in the last run; empty where the cache has not kept them."""
        entry = self.cache.get(self._keys.get(node, ""))
        return [] if entry is None else entry.outputs[slot]

    def run(
        self,
        checked: Checked,
        *,
        prompt: Mapping[str, Any] | None = None,
        extra_pnginfo: Mapping[str, Any] | None = None,
        context: Callable[[str], Any] = lambda node: None,
        reporter: Reporter = silent,
        stopped: Callable[[], bool] = lambda: False,
    ) -> Outputs:
        """What the workflow's output nodes showed, by node id.

        `context` makes the value that a node gets for its hidden CONTEXT parameter; `prompt` and
        `extra_pnginfo` are passed on as they are. Raises `NodeFailed` for the first node that fails
        (the results of those before it stay in the cache) and `Interrupted` once `stopped()` is true.
        """
        self._forget_bodies(checked.graph)
        hidden = {"PROMPT": prompt, "EXTRA_PNGINFO": extra_pnginfo}
        run = _Run(self, checked, hidden, context, reporter, stopped)
        self._keys = run.keys
        with run.background:
            return run.finish()

    def body(self, node: Node) -> Body:
        """The node's body, the same one for as long as the node is in the workflows that run."""
        key = (node.id, node.class_type)
        if key not in self._bodies:
            self._bodies[key] = self.registry[node.class_type].bind()
        return self._bodies[key]

    def _forget_bodies(self, graph: Graph) -> None:
        for key in [key for key in self._bodies if key[0] not in graph or graph[key[0]].class_type != key[1]]:
            del self._bodies[key]


class _Run:
    """The state of one run."""

    def __init__(
        self,
        executor: Executor,
        checked: Checked,
        hidden: Mapping[str, Any],
        context: Callable[[str], Any],
        reporter: Reporter,
        stopped: Callable[[], bool],
    ) -> None:
        self.registry = executor.registry
        self.cache = executor.cache
        self.body = executor.body
        self.graph = checked.graph.copy()
        self.targets = checked.outputs
        self.hidden = hidden
        self.context = context
        self.report = reporter
        self.stopped = stopped
        self.background = Background()
        self.outputs: Outputs = {}
        self.keys: dict[str, str] = {}
        self.results: dict[str, Entry] = {}
        self.uses: Counter[str] = Counter()  # links to a node from nodes that have not finished
        self.expanded: dict[str, list[NodeOutput]] = {}
        self.started: dict[str, float] = {}
        self.schedule = Schedule(self.graph, self.registry, self._is_done)

    def finish(self) -> Outputs:
        """Run until nothing is left."""
        order = upstream(self.graph, self.targets).order
        self._prepare(order)
        self.cache.begin(set(self.keys.values()))
        self.schedule.require(self.targets)
        while len(self.schedule):
            if self.stopped():
                raise Interrupted("interrupted")
            node = self.schedule.take()
            if node is not None:
                self._step(self.graph[node])
            elif self.background.busy:
                self._take_answers(*self.background.wait())
            else:
                raise NodeFailed("the nodes left wait for each other", hint="look for a loop in the workflow")
        return self.outputs

    def _prepare(self, order: Sequence[str]) -> None:
        sign(self.graph, order, self.registry, self.keys)
        for node in order:
            self.uses.update(source for _, source, _ in self.graph[node].links())

    def _is_done(self, node: str) -> bool:
        """Whether a node's outputs are there, from this run or from the cache."""
        if node in self.results:
            return True
        if node in self.expanded or node in self.started:
            return False
        entry = self.cache.get(self.keys[node])
        if entry is None:
            return False
        self.results[node] = entry
        place = self.graph[node]
        self._show(place, entry)
        self.report(NodeEnded(place.display, place.class_type, place.title, cached=True, seconds=0.0))
        return True

    def _step(self, node: Node) -> None:
        """Take a ready node as far as it goes now: to its end, or to what it has to wait for."""
        entry = self.registry[node.class_type]
        if node.id in self.expanded:
            self._conclude(node, self.expanded.pop(node.id))
            return
        gathered = gather(node, entry, self.results.get, self._hidden_of(node))
        if gathered.absent and self._wait_for_lazy(node, entry, gathered):
            return
        if node.id not in self.started:
            self.started[node.id] = time.monotonic()
            self.report(NodeStarted(node.display, node.class_type, node.title))
        try:
            answers = self._call(node, entry, gathered)
        except Exception as error:  # a stranger's code
            raise self._failure(node, gathered, error) from error
        if any(inspect.isawaitable(answer) for answer in answers):
            self.background.start(node.id, answers)
        else:
            self._accept(node, gathered, answers)

    def _hidden_of(self, node: Node) -> Callable[[str], Any]:
        own: dict[str, Callable[[], Any]] = {
            "UNIQUE_ID": lambda: node.id,
            "DYNPROMPT": lambda: self.graph,
            "CONTEXT": lambda: self.context(node.display),
        }
        return lambda what: own[what]() if what in own else self.hidden.get(what)

    def _wait_for_lazy(self, node: Node, entry: NodeClass, gathered: Gathered) -> bool:
        """Ask the node which of its lazy inputs it wants; True if it has to wait for one."""
        needed = self.body(node).needed
        if needed is None:
            return False
        wanted: dict[str, None] = {}
        try:
            for arguments in calls(entry, gathered.values):
                wanted.update(dict.fromkeys(needed(**arguments) or ()))
        except Exception as error:  # a stranger's code
            raise self._failure(node, gathered, error) from error
        names = [name for name in wanted if name in gathered.absent]
        if names:
            self.schedule.wait(node.id, [node.inputs[name][0] for name in names])
        return bool(names)

    def _call(self, node: Node, entry: NodeClass, gathered: Gathered) -> list[Any]:
        run = self.body(node).run
        answers: list[Any] = []
        for arguments in calls(entry, gathered.values):
            blocker = blocker_in(arguments, lists=entry.input_is_list)
            answers.append(run(**arguments) if blocker is None else self._blocked(node, blocker))
        return answers

    def _blocked(self, node: Node, blocker: ExecutionBlocker) -> ExecutionBlocker:
        """What a blocked node passes on: its message is said here, and only once."""
        if blocker.message is not None:
            self.report(NodeBlocked(node.display, node.class_type, node.title, blocker.message))
        return ExecutionBlocker()

    def _take_answers(self, node: str, answers: list[Any], error: BaseException | None) -> None:
        """An asynchronous node has ended."""
        place = self.graph[node]
        gathered = gather(place, self.registry[place.class_type], self.results.get, lambda what: None)
        if error is not None:
            raise self._failure(place, gathered, error) from error
        self._accept(place, gathered, answers)

    def _accept(self, node: Node, gathered: Gathered, answers: Sequence[Any]) -> None:
        """Sort what the calls returned; a node that expanded waits for what took its place."""
        try:
            results = [normalise(answer) for answer in answers]
            waits_for = [name for output in results for name in self._expand(node, output)]
        except (TypeError, ValueError) as error:
            raise self._failure(node, gathered, error) from error
        if any(output.expand is not None for output in results):
            self.expanded[node.id] = results
            self.schedule.wait(node.id, waits_for)
        else:
            self._conclude(node, results)

    def _expand(self, node: Node, output: NodeOutput) -> list[str]:
        """Add the nodes that a call expanded into; returns the ids that its result needs."""
        if output.expand is None:
            return []
        taken = [key for key in output.expand if key in self.graph]
        if taken:
            raise ValueError(f"it expanded into a node {taken[0]!r}, an id that is in use")
        for key, entry in output.expand.items():
            if entry.get("class_type") not in self.registry:
                raise ValueError(f"it expanded into a node of the unknown class {entry.get('class_type')!r}")
            display = str(entry.get("override_display_id") or node.display)
            self.graph.nodes[key] = Node(
                key, entry["class_type"], dict(entry.get("inputs", {})), node.title, node.id, display
            )
        linked = (
            [value[0] for value in output.result or () if is_link(value)]
            if isinstance(output.result, tuple)
            else []
        )
        shows = [key for key in output.expand if self.registry[self.graph[key].class_type].output_node]
        needed = upstream(self.graph, [*linked, *shows]).order
        self._prepare([key for key in needed if key not in self.keys])
        self.uses.update(linked)
        return [*linked, *shows]

    def _conclude(self, node: Node, results: Sequence[NodeOutput]) -> None:
        """The node has all its outputs: keep them, show them, let go of what it used."""
        entry = self.registry[node.class_type]
        done = Entry(collect(entry, results, self._follow), merge_ui(results) or None)
        self.results[node.id] = done
        self.cache.put(self.keys[node.id], done)
        self._show(node, done)
        seconds = time.monotonic() - self.started[node.id]
        self.report(NodeEnded(node.display, node.class_type, node.title, cached=False, seconds=seconds))
        self.schedule.finish(node.id)
        expanded = [
            value[0]
            for output in results
            if output.expand and isinstance(output.result, tuple)
            for value in output.result
            if is_link(value)
        ]
        self._release([source for _, source, _ in node.links()] + expanded)

    def _follow(self, link: list[Any]) -> list[Any]:
        return self.results[link[0]].outputs[int(link[1])]

    def _show(self, node: Node, entry: Entry) -> None:
        if entry.ui:
            self.outputs[node.id] = entry.ui
            self.report(OutputSaved(node.id, node.class_type, dict(entry.ui)))

    def _release(self, sources: Sequence[str]) -> None:
        """Results that nothing needs any more live on only if the cache keeps them."""
        for source in sources:
            self.uses[source] -= 1
            if self.uses[source] <= 0 and source not in self.targets:
                self.results.pop(source, None)

    def _failure(self, node: Node, gathered: Gathered, error: BaseException) -> ComfykitError:
        """What is raised for a node that failed; being asked to stop is no failure."""
        if isinstance(error, Interrupted):
            return error
        named = f" {node.title!r}" if node.title and node.title != node.class_type else ""
        said = str(error) if isinstance(error, ComfykitError) else f"{type(error).__name__}: {error}"
        kind = type(error)
        return NodeFailed(
            f"node {node.display} ({node.class_type}{named}) failed: {said}",
            hint=error.hint if isinstance(error, ComfykitError) else None,
            node_id=node.display,
            node_type=node.class_type,
            exception_message=str(error),
            exception_type=kind.__name__
            if kind.__module__ == "builtins"
            else f"{kind.__module__}.{kind.__name__}",
            traceback="".join(traceback.format_exception(error)),
            current_inputs={
                name: [_brief(item) for item in items] for name, items in gathered.values.items()
            },
            executed=sorted(self.results),
        )


def _brief(value: Any) -> Any:
    """A value as an error report shows it: numbers and short texts themselves, the rest by type."""
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, str):
        return value if len(value) <= 200 else f"{value[:197]}..."
    return f"<{type(value).__name__}>"
