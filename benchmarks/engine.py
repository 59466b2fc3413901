"""How long it takes to check and run graphs of trivial nodes: a chain and a fan of N.

    python benchmarks/engine.py [N ...]

Prints seconds and microseconds per node; the latter stay the same when the cost is linear.
"""

from __future__ import annotations

import sys
import time
from typing import Annotated, Any

from comfykit.engine.define import integer, node, node_class, socket
from comfykit.engine.executor import Executor
from comfykit.engine.graph import graph_from_prompt
from comfykit.engine.registry import Registry
from comfykit.engine.schema import Missing
from comfykit.engine.validate import validate
from comfykit.engine.values import NodeOutput

Number = Annotated[int, socket("NUMBER")]


@node("Start", title="Start", category="benchmark")
def start(value: Annotated[int, integer(0, 0, 10)]) -> Number:
    return value


@node("Add", title="Add", category="benchmark")
def add(value: Number) -> Number:
    return value + 1


@node("End", title="End", category="benchmark", output=True)
def end(value: Number) -> NodeOutput:
    return NodeOutput(ui={"value": [value]})


class NoFiles:
    def choices(self, folder: str) -> list[str]:
        return []

    def missing(self, folder: str, name: str) -> Missing:
        return Missing(f"no {name}")


REGISTRY = Registry(entry for entry in map(node_class, (start, add, end)) if entry)


def chain(count: int) -> dict[str, Any]:
    nodes: dict[str, Any] = {"0": {"class_type": "Start", "inputs": {"value": 1}}}
    for n in range(1, count):
        nodes[str(n)] = {"class_type": "Add", "inputs": {"value": [str(n - 1), 0]}}
    nodes["end"] = {"class_type": "End", "inputs": {"value": [str(count - 1), 0]}}
    return nodes


def fan(count: int) -> dict[str, Any]:
    nodes: dict[str, Any] = {"0": {"class_type": "Start", "inputs": {"value": 1}}}
    for n in range(1, count):
        nodes[str(n)] = {"class_type": "End", "inputs": {"value": ["0", 0]}}
    return nodes


def measure(nodes: dict[str, Any]) -> tuple[float, float]:
    """Seconds to check and to run."""
    begin = time.perf_counter()
    checked = validate(graph_from_prompt(nodes), REGISTRY, NoFiles())
    middle = time.perf_counter()
    Executor(REGISTRY).run(checked)
    return middle - begin, time.perf_counter() - middle


def main() -> None:
    counts = [int(argument) for argument in sys.argv[1:]] or [500, 1_000, 10_000, 40_000]
    print(f"{'graph':8}{'nodes':>8}{'check s':>10}{'run s':>10}{'us/node':>10}")
    for shape in (chain, fan):
        for count in counts:
            check, run = min(measure(shape(count)) for _ in range(3))
            print(f"{shape.__name__:8}{count:8}{check:10.3f}{run:10.3f}{(check + run) / count * 1e6:10.1f}")


if __name__ == "__main__":
    main()
