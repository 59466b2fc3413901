"""A container that is killed while its models come, again and again."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from start_support import Dripping, entry, kill, large, run, started, until

from fetch_support import files_below, serving, sha256

SIZES = {"a": 900_000, "b": 700_000, "c": 1_100_000}


@pytest.mark.parametrize("kills", [3, pytest.param(20, marks=pytest.mark.slow)])
def test_killed_at_random_moments_it_comes_up_with_everything_in_place(tmp_path: Path, kills: int) -> None:
    """Killed as the kernel kills a container; a dead address stands in the list all the while."""
    home, chance = tmp_path / "home", random.Random(kills)
    home.mkdir()
    slow = {name: Dripping(large(size, seed=size)) for name, size in SIZES.items()}
    share = sum(SIZES.values()) // (kills + 1)
    with serving({f"/{name}.safetensors": file for name, file in slow.items()}) as server:
        lines = [
            entry(f"{server.url}/{name}.safetensors", f"{name}.safetensors", *with_checksum(name, file.data))
            for name, file in slow.items()
        ]
        lines.append(entry(f"{server.url}/dead.safetensors", "dead.safetensors"))
        (home / "download.txt").write_text("".join(lines))

        def sent() -> int:
            return sum(file.sent for file in slow.values())

        for _ in range(kills):
            process = started(home, "sh", "-c", "echo ran")
            goal = sent() + chance.randrange(1, share)
            until(lambda goal=goal: sent() >= goal or process.poll() is not None)  # noqa: B023
            kill(process)
        done = run(home, "sh", "-c", "exit 5")
    assert done.returncode == 5
    assert "answered 404" in done.stderr
    whole = {f"vae/{name}.safetensors": file.data for name, file in slow.items()}
    assert files_below(home / "models") == whole
    assert sent() < 3 * sum(SIZES.values()), "it goes on from what is there"


def with_checksum(name: str, data: bytes) -> list[str]:
    """The checksum of a file, which a list has for some of them."""
    return [f"checksum=sha-256={sha256(data)}"] if name != "b" else []
