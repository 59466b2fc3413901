from __future__ import annotations

from pathlib import Path

import pytest

from comfykit.doctor.sources.memory import Memory, limit, look

GIB = 2**30
MACHINE = Memory(64 * GIB, 48 * GIB)


def group(folder: Path, limit: str, used: int, cache: int, version: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    names = ("memory.max", "memory.current", "inactive_file")
    if version == 1:
        names = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
    (folder / names[0]).write_text(f"{limit}\n")
    (folder / names[1]).write_text(f"{used}\n")
    (folder / "memory.stat").write_text(f"anon 1\n{names[2]} {cache}\n")


@pytest.fixture
def membership(tmp_path: Path) -> Path:
    return tmp_path / "cgroup"


def test_this_machine_has_memory() -> None:
    memory = look()
    assert 0 < memory.available <= memory.total


def test_version_2_inside_a_container(tmp_path: Path, membership: Path) -> None:
    membership.write_text("0::/\n")
    group(tmp_path / "fs", str(8 * GIB), 5 * GIB, 2 * GIB, 2)
    assert limit(MACHINE, tmp_path / "fs", membership) == Memory(8 * GIB, 5 * GIB, limited=True)


def test_the_tightest_group_above_the_process_counts(tmp_path: Path, membership: Path) -> None:
    membership.write_text("0::/pod/app\n")
    group(tmp_path / "fs/pod", str(4 * GIB), 3 * GIB, 0, 2)
    group(tmp_path / "fs/pod/app", "max", GIB, 0, 2)
    assert limit(MACHINE, tmp_path / "fs", membership) == Memory(4 * GIB, GIB, limited=True)


def test_version_1_under_the_name_of_the_host(tmp_path: Path, membership: Path) -> None:
    membership.write_text("5:devices:/\n4:memory,hugetlb:/docker/0123abcd\n0::/\n")
    group(tmp_path / "fs/memory", str(2 * GIB), 3 * GIB, 0, 1)
    assert limit(MACHINE, tmp_path / "fs", membership) == Memory(2 * GIB, 0, limited=True)


@pytest.mark.parametrize("unlimited", ["max", "9223372036854771712"])
@pytest.mark.parametrize("version", [1, 2])
def test_no_limit(tmp_path: Path, membership: Path, unlimited: str, version: int) -> None:
    membership.write_text("4:memory:/\n0::/\n")
    group(tmp_path / "fs" / ("memory" if version == 1 else ""), unlimited, GIB, 0, version)
    assert limit(MACHINE, tmp_path / "fs", membership) == MACHINE


def test_no_groups_at_all(tmp_path: Path) -> None:
    assert limit(MACHINE, tmp_path / "fs", tmp_path / "cgroup") == MACHINE
