"""Run the workflows of packs, and say how many node classes of its pack each ran.

    python tools/run_pack_workflows.py WORKFLOW... --home HOME [--python PYTHON]

WORKFLOW is a file such as tools/pack_workflows/ComfyMath.json, named after its pack, or a folder of them.
Each runs through `comfykit run` in a process of its own, in HOME, where the packs are installed. Standard
output has lines "NAME NODES", as `try_packs.py --ran` reads them. Exits with 1 where a workflow failed.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from comfykit.nodes.builtin import builtin_registry

SECONDS = 3600.0


def workflows_in(places: list[Path]) -> Iterator[Path]:
    for place in places:
        yield from [place] if place.is_file() else sorted(place.glob("*.json"))


def nodes_that_ran(workflow: Path, home: Path, python: Path | None = None) -> tuple[str, bool]:
    """How many classes that are not built in ran, in words, and whether the workflow succeeded."""
    command = [str(python or sys.executable), "-m", "comfykit", "run", str(workflow), "--json"]
    done = subprocess.run(
        [*command, "--home", str(home)], capture_output=True, encoding="utf-8", check=False, timeout=SECONDS
    )
    if done.returncode:
        print(done.stderr, file=sys.stderr)
    builtin = {entry.name for entry in builtin_registry()}
    ran, named = classes_in(done.stdout) - builtin, classes_of(workflow) - builtin
    return (str(len(ran)) if ran >= named else f"{len(ran)} of {len(named)}"), not done.returncode


def classes_in(events: str) -> set[str]:
    """Classes of nodes that ran to their end."""
    told = [json.loads(line) for line in events.splitlines() if line.startswith("{")]
    return {one["class_type"] for one in told if one.get("event") == "node" and one["status"] == "finished"}


def classes_of(workflow: Path) -> set[str]:
    """Classes that a workflow in API form names."""
    return {node["class_type"] for node in json.loads(workflow.read_text(encoding="utf-8")).values()}


def main() -> None:
    parser = argparse.ArgumentParser(description="Run workflows of packs.")
    parser.add_argument("workflows", type=Path, nargs="+")
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--python", type=Path)
    given = parser.parse_args()
    good = True
    for workflow in workflows_in(given.workflows):
        said, succeeded = nodes_that_ran(workflow, given.home, given.python)
        good = good and succeeded
        print(workflow.stem, said, flush=True)
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
