"""How long `comfykit sync` takes, and whether it gives the same twice.

    python benchmarks/sync.py [--packs 5] [--packages 40] [--models 10] [--bytes 1000000]

Packs are repositories of git, packages wheels, models files of a server, all on this machine. A lock of them
is synced into empty homes with environments of their own, twice (the first fills uv's cache), and once more
where nothing is left to do. A run is a process of its own; `processor` is its user and system time, with that
of what it starts. Tree hashes of `custom_nodes` and `models`, and versions of packages, must be the lock's.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "tests"))

from comfykit.packs.environment import Environment, freeze
from comfykit.packs.lock import Lock, LockedModel, LockedPack, LockedPackage, render_lock
from comfykit.packs.tree import tree_hash
from fetch_support import safetensors, serving, sha256
from pack_support import commit, make_whole_environment, only_from, pack, wheel


def comfykit(environment: Environment, home: Path, *arguments: str) -> tuple[float, float]:
    """Run it; seconds and seconds of processor time."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    subprocess.run(
        [environment.python, "-m", "comfykit", *arguments, "--home", home],
        check=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return time.monotonic() - began, used


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--packs", type=int, default=5)
    parser.add_argument("--packages", type=int, default=40)
    parser.add_argument("--models", type=int, default=10)
    parser.add_argument("--bytes", type=int, default=1_000_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        measure(Path(folder), options)


def measure(root: Path, options: argparse.Namespace) -> None:
    os.environ.update(
        UV_CONFIG_FILE=str(only_from(root / "wheels")),
        UV_CACHE_DIR=str(root / "uv"),
        XDG_CACHE_HOME=str(root / "cache"),
    )
    names = [f"bench{number}" for number in range(options.packages)]
    wheels = [wheel(root / "wheels", name, "1.0") for name in names]
    sources = [root / "source" / f"Pack{number}" for number in range(options.packs)]
    models = {f"/{n}.safetensors": safetensors(options.bytes, n) for n in range(options.models)}
    with serving(models) as server:
        lock = Lock(
            packs=tuple(
                locked(pack(source, *names[number :: options.packs])) for number, source in enumerate(sources)
            ),
            packages=tuple(
                LockedPackage(name, "1.0", (f"sha256:{sha256(path.read_bytes())}",))
                for name, path in zip(names, wheels, strict=True)
            ),
            models=tuple(
                LockedModel(f"vae{path}", len(data), sha256(data), (f"{server.url}{path}",))
                for path, data in models.items()
            ),
        )
        print(f"{'run':28}{'seconds':>10}{'processor':>12}")
        found = []
        for words, name in (("empty home, cold cache", "first"), ("empty home, warm cache", "second")):
            home, environment = root / name, make_whole_environment(root / f"{name}-environment")
            home.mkdir()
            (home / "comfykit.lock").write_text(render_lock(lock))
            show(words, comfykit(environment, home, "sync", "--frozen"))
            found.append(state(home, environment, names))
        show("again, nothing to do", comfykit(environment, home, "sync", "--frozen"))
        found.append(state(home, environment, names))
    assert found[0] == found[1] == found[2]
    assert all(tree_hash(home / "custom_nodes" / one.name) == one.tree for one in lock.packs)
    print(f"{options.packs} packs, {options.packages} packages, {options.models} models; all homes equal")


def locked(source: Path) -> LockedPack:
    head = commit(source)
    return LockedPack(source.name, "git", f"file://{source}", head, tree=tree_hash(source))


def state(home: Path, environment: Environment, names: list[str]) -> tuple[str, str, list[str]]:
    found = freeze(environment)
    return tree_hash(home / "custom_nodes"), tree_hash(home / "models"), [found[name] for name in names]


def show(words: str, times: tuple[float, float]) -> None:
    print(f"{words:28}{times[0]:10.2f}{times[1]:12.2f}", flush=True)


if __name__ == "__main__":
    main()
