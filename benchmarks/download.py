"""How fast files arrive, next to aria2c, curl and huggingface_hub's own download loop.

    python benchmarks/download.py [--rounds 5] [--scenarios unlimited limited far] [--small] [--json FILE]

nginx serves files of random bytes from a file system in memory to this machine. Three scenarios: one file of
2 GiB, unlimited; the same with 20 MB/s for each connection; 200 files of 5 MiB with 50 ms added to each round
trip. Every run is a process of its own into an empty folder in memory; clients take turns, and the order
moves on by one each round, so that what else the machine does falls on all alike (curl and huggingface_hub
use one connection a file and take their turn only once where each is limited). comfykit and aria2 verify
SHA-256; curl and huggingface_hub verify nothing. Seconds are those of the whole process, with its start;
CPU is user and system time of the process and its children, peak its largest resident set (of the process
or of a child, whichever is larger; never below the 22 MiB of this script, which it starts as). After each
run all files are compared with what was served.

MB are 10^6 bytes. `ratio` is the median over rounds of a client's throughput divided by aria2's in the same
round: above 1 is faster than aria2.
"""

from __future__ import annotations

import argparse
import filecmp
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from download_server import File, Servers, make_file, serving

MIB = 1024 * 1024
RATE = 20_000_000
LATENCY = 0.05
ARIA2 = "aria2"
SCENARIOS = ["unlimited", "limited", "far"]

# What `hf_hub_download` does with each file and `snapshot_download` with several: eight at a time.
HUB = """
import sys
from concurrent.futures import ThreadPoolExecutor
from huggingface_hub.file_download import http_get
def fetch(line):
    url, path, size = line.split("\\t")
    with open(path, "wb") as file:
        http_get(url, file, expected_size=int(size))
with ThreadPoolExecutor(8) as pool:
    list(pool.map(fetch, open(sys.argv[1]).read().splitlines()))
"""


@dataclass(frozen=True)
class Scenario:
    """Files from one server. Clients named in `once` run in the first round alone."""

    name: str
    title: str
    base: str
    files: tuple[File, ...]
    once: frozenset[str] = frozenset()

    @property
    def size(self) -> int:
        return sum(file.size for file in self.files)


@dataclass(frozen=True)
class Run:
    """One run of one client: seconds, processor seconds and bytes."""

    scenario: str
    client: str
    round: int
    seconds: float
    cpu: float
    peak: int
    size: int

    @property
    def speed(self) -> float:
        return self.size / self.seconds / 1e6


def comfykit(backend: str) -> Callable[[Scenario, Path], list[str]]:
    def command(scenario: Scenario, folder: Path) -> list[str]:
        manifest = folder / "list.txt"
        entries = [
            f"{scenario.base}/{file.name}\n  dir=models/checkpoints\n  out={file.name}\n"
            f"  checksum=sha-256={file.sha256}\n"
            for file in scenario.files
        ]
        manifest.write_text("".join(entries))
        run = [sys.executable, "-m", "comfykit", "install-models", str(manifest), "--home", str(folder)]
        return [*run, "--json", "--backend", backend]

    return command


def aria2(scenario: Scenario, folder: Path) -> list[str]:
    listing = folder / "list.txt"
    entries = [
        f"{scenario.base}/{file.name}\n  out={file.name}\n  checksum=sha-256={file.sha256}\n"
        for file in scenario.files
    ]
    listing.write_text("".join(entries))
    # falloc is its fastest way to make room; its own default writes zeros first.
    options = ["-x16", "-s16", "-k1M", "-j5", "--file-allocation=falloc", "--no-conf", "-q"]
    return ["aria2c", *options, "-d", str(folder), "-i", str(listing)]


def curl(scenario: Scenario, folder: Path) -> list[str]:
    listing = folder / "list.txt"
    lines = [
        f'url = "{scenario.base}/{file.name}"\noutput = "{folder / file.name}"\n' for file in scenario.files
    ]
    listing.write_text("".join(lines))
    several = ["--parallel", "--parallel-max", "5"] if len(scenario.files) > 1 else []
    return ["curl", "-q", "--fail", "--silent", *several, "--config", str(listing)]


def hub(scenario: Scenario, folder: Path) -> list[str]:
    listing = folder / "list.txt"
    lines = [f"{scenario.base}/{file.name}\t{folder / file.name}\t{file.size}\n" for file in scenario.files]
    listing.write_text("".join(lines))
    return [sys.executable, "-c", HUB, str(listing)]


CLIENTS: dict[str, Callable[[Scenario, Path], list[str]]] = {
    "comfykit": comfykit("httpx"),
    "comfykit --backend aria2": comfykit("aria2"),
    ARIA2: aria2,
    "curl": curl,
    "huggingface_hub": hub,
}


def run(client: str, scenario: Scenario, number: int, www: Path, root: Path) -> Run:
    """One run, and a look at every byte that it brought."""
    folder = Path(tempfile.mkdtemp(dir=root))
    try:
        command = CLIENTS[client](scenario, folder)
        kept = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
        environment = {**kept, "HF_HUB_DISABLE_PROGRESS_BARS": "1", "HOME": str(folder)}
        with (folder / "said").open("wb") as said:
            begin = time.monotonic()
            process = subprocess.Popen(command, stdout=said, stderr=said, env=environment)
            _, status, usage = os.wait4(process.pid, 0)
            seconds = time.monotonic() - begin
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise SystemExit(f"{client} failed:\n{(folder / 'said').read_text()[-20000:]}")
        check(client, scenario, folder, www)
    finally:
        shutil.rmtree(folder)
    cpu = usage.ru_utime + usage.ru_stime
    return Run(scenario.name, client, number, seconds, cpu, usage.ru_maxrss * 1024, scenario.size)


def check(client: str, scenario: Scenario, folder: Path, www: Path) -> None:
    brought = {path.name: path for path in folder.rglob("*.safetensors")}
    for file in scenario.files:
        path = brought.get(file.name)
        if path is None or not filecmp.cmp(path, www / file.name, shallow=False):
            raise SystemExit(f"{client} did not bring {file.name}")


def table(runs: Sequence[Run], clients: Sequence[str]) -> str:
    """Medians by client, as Markdown."""
    speeds = {(one.client, one.round): one.speed for one in runs}
    lines = [
        "| client | MB/s median | least | most | ratio to aria2 | CPU s | CPU to aria2 | peak MiB |",
        "|---|---|---|---|---|---|---|---|",
    ]
    cpus = {(one.client, one.round): one.cpu for one in runs}
    for client in clients:
        own = [one for one in runs if one.client == client]
        rounds = [one.round for one in own if (ARIA2, one.round) in speeds]
        ratio = [speeds[client, n] / speeds[ARIA2, n] for n in rounds]
        cost = [cpus[client, n] / cpus[ARIA2, n] for n in rounds]
        speed = [one.speed for one in own]
        lines.append(
            f"| {client} | {statistics.median(speed):.0f} | {min(speed):.0f} | {max(speed):.0f} "
            f"| {f'{statistics.median(ratio):.2f}' if ratio else ''} "
            f"| {statistics.median(one.cpu for one in own):.2f} "
            f"| {f'{statistics.median(cost):.2f}' if cost else ''} "
            f"| {max(one.peak for one in own) / MIB:.0f} |"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--scenarios", nargs="+", default=SCENARIOS, choices=SCENARIOS)
    parser.add_argument("--clients", nargs="+", default=list(CLIENTS), choices=list(CLIENTS))
    parser.add_argument("--memory", type=Path, default=Path("/dev/shm"), help="a folder in memory")
    parser.add_argument("--small", action="store_true", help="1/32 of the bytes, to try the script")
    parser.add_argument("--json", type=Path, help="write every run here")
    options = parser.parse_args()
    large, count, each = (64 * MIB, 20, MIB) if options.small else (2048 * MIB, 200, 5 * MIB)

    with (
        tempfile.TemporaryDirectory(dir=options.memory) as place,
        serving(Path(place), RATE, LATENCY) as servers,
    ):
        runs: list[Run] = []
        for scenario in make_scenarios(servers, large, count, each):
            if scenario.name not in options.scenarios:
                continue
            for number in range(options.rounds):
                turn = number % len(options.clients)
                for client in [*options.clients[turn:], *options.clients[:turn]]:
                    if number == 0 or client not in scenario.once:
                        runs.append(run(client, scenario, number, servers.www, Path(place)))
            of_it = [one for one in runs if one.scenario == scenario.name]
            print(
                f"\n{scenario.title}; {options.rounds} rounds\n\n{table(of_it, options.clients)}", flush=True
            )
            if options.json:
                options.json.write_text(json.dumps([asdict(one) for one in runs], indent=1))


def make_scenarios(servers: Servers, large: int, count: int, each: int) -> list[Scenario]:
    one = (make_file(servers.www, "large.safetensors", large),)
    many = tuple(make_file(servers.www, f"{n:03}.safetensors", each) for n in range(count))
    megabytes, more = RATE // 10**6, round(LATENCY * 1000)
    single = frozenset({"curl", "huggingface_hub"})  # one connection is 20 MB/s, each time
    return [
        Scenario("unlimited", f"one file of {large // MIB} MiB", servers.plain, one),
        Scenario(
            "limited",
            f"one file of {large // MIB} MiB, {megabytes} MB/s on each connection",
            servers.limited,
            one,
            single,
        ),
        Scenario(
            "far", f"{count} files of {each // MIB} MiB, {more} ms more a round trip", servers.far, many
        ),
    ]


if __name__ == "__main__":
    main()
