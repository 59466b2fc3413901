"""What tests of installing packs share: packs, repositories, wheels, an environment that costs nothing."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import zipfile
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from comfykit.events import Event, Warned
from comfykit.home import open_home
from comfykit.packs.environment import Environment, freeze
from comfykit.services.install_packs import plan_install
from comfykit.services.pack_changes import Workbench, changing
from comfykit.services.pack_plans import Done, Plan
from comfykit.settings import Settings
from fetch_support import SOURCE

CORE = {"comfykit-engine": "0.1", "torch": "2.13.0+cpu", "numpy": "2.4.6"}


def make_environment(folder: Path, core: Mapping[str, str] = CORE) -> Environment:
    """A virtual environment with nothing in it but what says that the core is installed."""
    version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    site = folder / "lib" / version / "site-packages"
    site.mkdir(parents=True)
    (folder / "bin").mkdir()
    base = Path(sys._base_executable)  # type: ignore[attr-defined]
    (folder / "bin" / "python").symlink_to(base)
    (folder / "pyvenv.cfg").write_text(f"home = {base.parent}\ninclude-system-site-packages = false\n")
    for name, number in core.items():
        requires = [other for other in core if other != name] if name == "comfykit-engine" else []
        about = site / f"{name.replace('-', '_')}-{number}.dist-info"
        about.mkdir()
        (about / "METADATA").write_text(metadata(name, number, requires))
        (about / "RECORD").write_text(f"{about.name}/METADATA,,\n{about.name}/RECORD,,\n")
    return Environment(folder / "bin" / "python")


def make_whole_environment(folder: Path) -> Environment:
    """A virtual environment that sees what this one has, and this comfykit."""
    environment = make_environment(folder, {})
    site = next((folder / "lib").glob("*/site-packages"))
    (site / "here.pth").write_text(f"{SOURCE}\n{sysconfig.get_path('purelib')}\n")
    return environment


def only_from(wheels: Path) -> Path:
    """A configuration of uv, beside a folder of wheels, by which there are no others."""
    path = wheels.with_name("uv.toml")
    path.write_text(f"no-index = true\nfind-links = [{str(wheels)!r}]\n")
    return path


def metadata(name: str, version: str, requires: Sequence[str] = ()) -> str:
    lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
    return "\n".join([*lines, *(f"Requires-Dist: {one}" for one in requires)]) + "\n"


def wheel(folder: Path, name: str, version: str, requires: Sequence[str] = ()) -> Path:
    """A wheel with one module, whose `VERSION` says which it is."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}-{version}-py3-none-any.whl"
    about = f"{name}-{version}.dist-info"
    files = {
        f"{name}.py": f"VERSION = {version!r}\n",
        f"{about}/METADATA": metadata(name, version, requires),
        f"{about}/WHEEL": "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{file},,\n" for file in (*files, f"{about}/RECORD"))
    with zipfile.ZipFile(path, "w") as archive:
        for file, text in {**files, f"{about}/RECORD": record}.items():
            archive.writestr(zipfile.ZipInfo(file, (2026, 1, 1, 0, 0, 0)), text)
    return path


def pack(
    folder: Path, *requirements: str, classes: Sequence[str] = ("Node",), code: str = "", **files: str
) -> Path:
    """A pack's folder; `files` by their name with `__` for the dot: `install__py`."""
    folder.mkdir(parents=True, exist_ok=True)
    mappings = ", ".join(f"{name!r}: object" for name in classes)
    (folder / "__init__.py").write_text(f"{code}\nNODE_CLASS_MAPPINGS = {{{mappings}}}\n")
    if requirements:
        (folder / "requirements.txt").write_text("".join(f"{line}\n" for line in requirements))
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text)
    return folder


def git(folder: Path, *arguments: str) -> str:
    options = ["-c", "user.name=t", "-c", "user.email=t@t", "-c", "init.defaultBranch=main"]
    environment = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    done = subprocess.run(
        ["git", *options, *arguments], cwd=folder, env=environment, check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


def commit(folder: Path, words: str = "change") -> str:
    """Commit everything in a folder, which becomes a repository; the name of the commit."""
    if not (folder / ".git").exists():
        git(folder, "init", "--quiet")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", words)
    return git(folder, "rev-parse", "HEAD")


def content(home: Path) -> dict[str, str]:
    """Every file of a home with its text, and links with where they lead."""
    found = {}
    for path in sorted(home.rglob("*")):
        if path.is_file() and ".git" not in path.parts:
            found[path.relative_to(home).as_posix()] = path.read_bytes().decode("latin-1")
    return found


@dataclass
class Place:
    """A home, an environment, and wheels that are all the packages there are."""

    root: Path
    settings: Settings
    environment: Environment
    said: list[Event]

    @property
    def home(self) -> Path:
        return self.settings.home.root

    @property
    def wheels(self) -> Path:
        return self.root / "wheels"

    @property
    def warnings(self) -> list[str]:
        return [event.message for event in self.said if isinstance(event, Warned)]

    def changing(self) -> AbstractContextManager[Workbench]:
        return changing(self.settings, environment=self.environment, reporter=self.said.append)

    def plan(self, *specs: str | Path) -> Plan:
        """What an installation would change; it is taken back."""
        with self.changing() as work:
            return plan_install(work, [str(spec) for spec in specs], folder=self.root)

    def install(self, *specs: str | Path, run_scripts: bool = False) -> Done:
        with self.changing() as work:
            plan = plan_install(work, [str(spec) for spec in specs], folder=self.root)
            return work.carry_out(plan, run_scripts=run_scripts)

    def state(self) -> tuple[dict[str, str], dict[str, str]]:
        """What must be equal before and after a failure: the home's files and the list of packages."""
        return content(self.home), freeze(self.environment)


def make_place(root: Path, name: str = "home") -> Place:
    settings = Settings(
        open_home(root / name), root / name / "input", root / name / "output", root / name / "temp"
    )
    return Place(root, settings, make_environment(root / f"{name}-environment"), [])
