"""Try custom-node packs: import each in a process of its own, and write the table of docs/custom-nodes.md.

    python tools/try_packs.py FOLDER... [--commits FILE] [--ran FILE] [--python PYTHON] [--run-scripts]
                              [--jobs N] [--told FOLDER] [--update PAGE]

FOLDER holds packs, each a folder in it, or is one. `--commits` is a file of lines "NAME OWNER/REPO COMMIT",
for packs that are no checkouts. `--ran` one of lines "NAME NODES" with how many of a pack's nodes ran in a
workflow; `--workflows FOLDER --home HOME` finds that out with the workflows there (`run_pack_workflows`).
`--run-scripts` lets the `prestartup_script.py` of packs run, as ComfyUI does. `--told` keeps what each pack
told, as JSON, and packs that told already are not imported again. Without `--update` the table goes to
standard output.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path

from run_pack_workflows import nodes_that_ran

from comfykit.packs.environment import Environment
from comfykit.packs.probing import Probe, probe_pack
from comfykit.packs.scan import scan

BEGIN, END = "<!-- packs: begin -->", "<!-- packs: end -->"
COLUMNS = ("pack", "commit", "classes in its source", "usable", "ran", "what is missing")


def packs_in(folders: list[Path]) -> Iterator[Path]:
    for folder in folders:
        if (folder / "__init__.py").is_file():
            yield folder
        else:
            yield from sorted(
                (path for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")),
                key=lambda path: path.name.casefold(),
            )


def table_of_words(file: Path | None) -> dict[str, list[str]]:
    lines = file.read_text(encoding="utf-8").splitlines() if file else []
    return {words[0]: words[1:] for line in lines if (words := line.split())}


def commit_of(pack: Path) -> list[str]:
    """Owner and repository, and the commit, of a checkout; nothing for other folders."""
    if not (pack / ".git").exists():
        return []
    git = ["git", "-C", str(pack)]
    url, commit = (
        subprocess.run([*git, *arguments], capture_output=True, encoding="utf-8", check=False).stdout.strip()
        for arguments in (("remote", "get-url", "origin"), ("rev-parse", "HEAD"))
    )
    return ["/".join(url.removesuffix(".git").split("/")[-2:]), commit]


def row(pack: Path, probe: Probe, origin: list[str], ran: list[str]) -> str:
    name, commit = (*origin, "", "")[:2] if origin else (pack.name, "")
    named = len({*scan(pack).classes, *probe.classes, *probe.problems})
    cells = (name, commit[:8], str(named), str(len(probe.classes)), " ".join(ran), lacking(probe))
    return f"| {' | '.join(cell.replace('|', '&#124;') for cell in cells)} |"


def lacking(probe: Probe) -> str:
    said = [probe.cause] if probe.cause else []
    said += [f"`{name}`: {why}" for name, why in list(probe.problems.items())[:3]]
    if probe.lacks:
        more = f" and {len(probe.lacks) - 4} more" if len(probe.lacks) > 4 else ""
        said.append("in functions: " + ", ".join(f"`{name}`" for name in probe.lacks[:4]) + more)
    return "; ".join(said).replace("\n", " ")


def tried(pack: Path, home: Path, given: argparse.Namespace) -> Probe:
    """What becomes of a pack: as it told before, or imported now."""
    kept = given.told / f"{pack.name}.json" if given.told else None
    if kept is not None and kept.is_file():
        return Probe(**json.loads(kept.read_text(encoding="utf-8")))
    environment = Environment(given.python) if given.python else None
    probe = probe_pack(
        pack, home, environment, seconds=given.seconds, thorough=True, run_scripts=given.run_scripts
    )
    if kept is not None:
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_text(json.dumps(asdict(probe)), encoding="utf-8")
    return probe


def main() -> None:
    parser = argparse.ArgumentParser(description="Import packs and write a table of what came of it.")
    parser.add_argument("folders", type=Path, nargs="+")
    parser.add_argument("--commits", type=Path)
    parser.add_argument("--ran", type=Path)
    parser.add_argument("--workflows", type=Path)
    parser.add_argument("--home", type=Path)
    parser.add_argument("--python", type=Path)
    parser.add_argument("--seconds", type=float, default=300.0)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--run-scripts", action="store_true")
    parser.add_argument("--told", type=Path)
    parser.add_argument("--update", type=Path)
    given = parser.parse_args()
    commits, ran = table_of_words(given.commits), table_of_words(given.ran)
    if given.workflows:
        if given.home is None:
            parser.error("--workflows needs the --home that the packs are installed in")
        for pack in packs_in(given.folders):
            if (workflow := given.workflows / f"{pack.name}.json").is_file():
                ran[pack.name] = [nodes_that_ran(workflow, given.home, given.python)[0]]
    lines = [f"| {' | '.join(COLUMNS)} |", "|--" * len(COLUMNS) + "|"]
    packs, good = list(packs_in(given.folders)), 0
    with tempfile.TemporaryDirectory() as home, ThreadPoolExecutor(given.jobs) as pool:
        for pack, probe in zip(
            packs, pool.map(lambda one: tried(one, Path(home), given), packs), strict=True
        ):
            good += probe.is_imported and bool(probe.classes) and not probe.problems
            print(
                f"{pack.name}: {probe.cause or f'{len(probe.classes)} classes'}", file=sys.stderr, flush=True
            )
            lines.append(row(pack, probe, commits.get(pack.name) or commit_of(pack), ran.get(pack.name, [])))
    table = "\n".join([*lines, "", f"{good} of {len(packs)} were imported with all their classes."])
    if given.update is None:
        print(table)
        return
    text = given.update.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    after = rest.partition(END)[2]
    given.update.write_text(f"{before}{BEGIN}\n{table}\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
