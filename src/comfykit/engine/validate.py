"""Every problem of a workflow at once, before anything runs.

Types of problems are ComfyUI's. Of the whole workflow: `invalid_prompt` (a node class that is not
there), `prompt_no_outputs`, `prompt_outputs_failed_validation`. Of a node: `required_input_missing`,
`bad_linked_input`, `return_type_mismatch`, `invalid_input_type`, `value_smaller_than_min`,
`value_bigger_than_max`, `value_not_in_list`, `custom_validation_failed`,
`exception_during_validation`, `graph.DependencyCycleError`.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from comfykit.engine.graph import Graph, Node, upstream
from comfykit.engine.inspector import LONGEST_NAME, MOST_GUESSED, Found, Inspector, either, shown
from comfykit.engine.registry import Registry
from comfykit.engine.schema import Environment, Missing


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong; `node` is None when it concerns the whole workflow."""

    type: str
    message: str
    node: str | None = None
    class_type: str = ""
    title: str = ""
    input: str | None = None
    hint: str | None = None

    def __str__(self) -> str:
        if self.node is None:
            return self.message
        name = f" {self.title!r}" if self.title and self.title != self.class_type else ""
        return f"node {self.node} ({self.class_type}{name}): {self.message}"


@dataclass(frozen=True, slots=True)
class Checked:
    """A workflow that was checked: constants in their types, outputs that can run, what is wrong.

    `error` is the type of what stops the whole workflow, None when at least one output can run.
    """

    graph: Graph
    outputs: tuple[str, ...]
    problems: tuple[Problem, ...]
    error: str | None = None


def validate(graph: Graph, registry: Registry, environment: Environment) -> Checked:
    """Check every node that an output needs. Linear in nodes and links; raises nothing."""
    strangers = [node for node in graph if node.class_type not in registry]
    near = _nearest_classes(strangers, registry)
    why = {name: registry.explain(name) for name in near}
    unknown = [
        _unknown_class(node, near.get(node.class_type), why.get(node.class_type)) for node in strangers
    ]
    known = [node for node in graph if node.class_type in registry]
    outputs = [node.id for node in known if registry[node.class_type].output_node]
    needed = upstream(graph, outputs)
    inspector = Inspector(graph, registry, environment)
    found = [_problem(node, said) for node, said in inspector.inspect(needed.order)]
    problems = [*unknown, *(_cycle(graph, loop) for loop in needed.cycles), *found]
    if unknown:
        return Checked(inspector.graph, (), tuple(problems), "invalid_prompt")
    if not outputs:
        none = Problem(
            "prompt_no_outputs",
            "the workflow has no output node, so nothing would be made",
            hint="end it with a node that keeps something, such as SaveImage",
        )
        return Checked(inspector.graph, (), (none, *problems), "prompt_no_outputs")
    broken = {problem.node for problem in problems}
    good = _unbroken(graph, needed.order, outputs, broken)
    return Checked(
        inspector.graph, good, tuple(problems), None if good else "prompt_outputs_failed_validation"
    )


def _nearest_classes(nodes: Sequence[Node], registry: Registry) -> dict[str, list[str]]:
    """What the first few unknown classes may have been meant as."""
    names = dict.fromkeys(node.class_type for node in nodes if 0 < len(node.class_type) <= LONGEST_NAME)
    return {name: registry.nearest(name) for name in itertools.islice(names, MOST_GUESSED)}


def _unknown_class(node: Node, near: Sequence[str] | None, why: Missing | None) -> Problem:
    if not node.class_type:
        return Problem("invalid_prompt", f"node {node.id} has no class_type", node.id, title=node.title)
    if why is not None:
        return Problem("invalid_prompt", why.message, node.id, node.class_type, node.title, hint=why.hint)
    return Problem(
        "invalid_prompt",
        f"there is no node class {shown(node.class_type)}",
        node.id,
        node.class_type,
        node.title,
        hint=f"did you mean {either(near)}?" if near else "it may come with a custom node pack",
    )


def _problem(node: Node, found: Found) -> Problem:
    return Problem(found.type, found.message, node.id, node.class_type, node.title, found.input, found.hint)


def _cycle(graph: Graph, loop: Sequence[str]) -> Problem:
    node = graph[loop[0]]
    steps = [*loop[:9], "...", loop[-1]] if len(loop) > 10 else loop
    return Problem(
        "graph.DependencyCycleError",
        f"it depends on its own output: {' <- '.join(steps)}",
        node.id,
        node.class_type,
        node.title,
    )


def _unbroken(
    graph: Graph, order: Sequence[str], outputs: Sequence[str], broken: set[str | None]
) -> tuple[str, ...]:
    """Outputs that no broken node feeds."""
    bad = set(broken)
    if not bad:
        return tuple(outputs)
    for node in order:
        if not bad.isdisjoint(graph.nodes[node].sources()):
            bad.add(node)
    return tuple(node for node in outputs if node not in bad)
