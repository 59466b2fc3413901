from __future__ import annotations

from pathlib import Path

import pytest

from comfykit.doctor.sources.installation import Damage, Installation, Remains, Unmet, look


def install(folder: Path, name: str, version: str, *, requires: str | None = None) -> Path:
    """A package of one module and one library, as an installer leaves it."""
    package, info = folder / name, folder / f"{name}-{version}.dist-info"
    package.mkdir()
    info.mkdir()
    (package / "__init__.py").write_text("x = 1\n")
    (package / "core.so").write_bytes(b"0123")
    (package / "tests").mkdir()
    needs = f"Requires-Dist: {requires}\n" if requires else ""
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{needs}")
    (info / "RECORD").write_text(
        f"{name}/__init__.py,sha256=x,6\n{name}/core.so,sha256=x,4\n{name}/tests/test_x.py,,9\n"
        f"{name}/__pycache__/__init__.pyc,,\n{info.name}/RECORD,,\n../../../bin/tool,,5\n"
    )
    return package


def test_whole_packages(tmp_path: Path) -> None:
    install(tmp_path, "numpy", "2.1.0")
    assert look(tmp_path) == Installation(tmp_path)


def test_a_file_that_is_gone_and_one_that_is_cut_short(tmp_path: Path) -> None:
    (install(tmp_path, "torch", "2.12.0") / "__init__.py").unlink()
    (install(tmp_path, "numpy", "2.1.0") / "core.so").write_bytes(b"01")
    assert look(tmp_path).damaged == (
        Damage("numpy", "2.1.0", 1, "numpy/core.so"),
        Damage("torch", "2.12.0", 1, "torch/__init__.py"),
    )


def test_what_interrupted_removals_leave(tmp_path: Path) -> None:
    install(tmp_path, "torch", "2.12.0")
    (tmp_path / "~orchvision").mkdir()
    install(tmp_path, "pandas", "2.2.2")
    (tmp_path / "pandas-2.2.2.dist-info" / "RECORD").unlink()
    (tmp_path / "numpy").mkdir()
    (tmp_path / "numpy" / "x.py").touch()
    assert set(look(tmp_path).remains) == {
        Remains("orchvision", "~orchvision"),
        Remains("pandas", "pandas-2.2.2.dist-info", "2.2.2"),
        Remains("numpy", "numpy"),
    }


def test_a_package_that_is_recorded_twice(tmp_path: Path) -> None:
    install(tmp_path, "pillow", "11.0.0")
    info = tmp_path / "pillow-10.4.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: pillow\nVersion: 10.4.0\n")
    (info / "RECORD").touch()
    assert look(tmp_path).twice == ("pillow",)


@pytest.mark.parametrize(
    ("requirement", "has"),
    [("numpy<2", "2.1.0"), ("nothing-of-the-kind>=1", None)],
)
def test_requirements_that_are_not_met(tmp_path: Path, requirement: str, has: str | None) -> None:
    install(tmp_path, "numpy", "2.1.0", requires='tqdm; extra == "all"')
    install(tmp_path, "mediapipe", "0.10.21", requires=requirement)
    assert look(tmp_path).unmet == (Unmet("mediapipe", requirement, has),)


def test_time_is_limited(tmp_path: Path) -> None:
    install(tmp_path, "numpy", "2.1.0")
    assert look(tmp_path, seconds=-1).unread == 1
