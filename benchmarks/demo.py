"""What `comfykit demo` takes from the command to the file.

    python benchmarks/demo.py [--repeat 10] [--command .venv/bin/comfykit]

Each run is a process of its own, timed from its start to its end, in an empty folder and without HOME.
The files it reads are in the page cache after the first run, which is told apart; bytecode is there
where Python may write it. `work` is what the command itself counts, from the import of torch on; the
rest is the interpreter, the command line and the end of the process.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import statistics
import subprocess
import sys
import tempfile
import time


def run(command: list[str], folder: str) -> tuple[float, float]:
    """Seconds of the whole process, and of the work in it."""
    environment = {name: value for name, value in os.environ.items() if name != "HOME"}
    begin = time.monotonic()
    ended = subprocess.run(
        [*command, "demo", "--json"], cwd=folder, env=environment, capture_output=True, text=True, check=True
    )
    return time.monotonic() - begin, json.loads(ended.stdout)["seconds"]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeat", type=int, default=10)
    parser.add_argument("--command", default=f"{shlex.quote(sys.executable)} -m comfykit")
    options = parser.parse_args()
    command = shlex.split(options.command)
    if os.sep in command[0]:
        command[0] = os.path.abspath(command[0])  # noqa: PTH100  (a link to an interpreter stays one)
    with tempfile.TemporaryDirectory() as folder:
        first, *runs = [run(command, folder) for _ in range(options.repeat + 1)]
    print(f"the first run: {first[0]:.2f} s, {first[1]:.2f} s of them work")
    print(f"{'':10}{'min s':>8}{'median s':>10}{'max s':>8}    {options.repeat} more runs")
    for name, seconds in zip(("process", "work"), zip(*runs, strict=True), strict=True):
        print(f"{name:10}{min(seconds):8.2f}{statistics.median(seconds):10.2f}{max(seconds):8.2f}")


if __name__ == "__main__":
    main()
