"""Whatever goes wrong, the home and the environment's packages are afterwards what they were."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from comfykit.errors import ComfykitError
from comfykit.packs.environment import freeze
from comfykit.packs.tree import tree_hash
from pack_sources_support import GitServer, Repo, git_server, member, zip_of
from pack_support import CORE, Place, commit, make_whole_environment, pack, wheel


@pytest.fixture
def server(tmp_path: Path) -> Iterator[GitServer]:
    with git_server(tmp_path / "served") as running:
        yield running


def state(place: Place) -> tuple[str, dict[str, str], dict[str, str]]:
    """The home's tree hash, its files (also those of comfykit), and the list of packages."""
    return tree_hash(place.home), *place.state()


def fails(place: Place, said: str, *specs: str, run_scripts: bool = False) -> None:
    """Installing ends in an error that says this, beside a pack and a package that were there."""
    wheel(place.wheels, "kept", "1.0")
    pack(place.root / "Kept", "kept")
    place.install("./Kept")
    before = state(place)
    with pytest.raises(ComfykitError, match=said):
        place.install(*specs, run_scripts=run_scripts)
    assert state(place) == before
    assert freeze(place.environment) == {**CORE, "kept": "1.0"}


def test_an_import_error(place: Place) -> None:
    pack(place.root / "Beta", "thing", code="import nowhere")
    fails(place, "Beta cannot be imported: .*nowhere", "./Beta")


def test_pins_that_conflict(place: Place) -> None:
    pack(place.root / "Alpha", "thing<2")
    pack(place.root / "Beta", "thing>=2")
    fails(place, "Alpha and Beta disagree about thing", "./Alpha", "./Beta")


@pytest.mark.parametrize(("core", "older"), [("numpy", "numpy<2"), ("torch", "torch==1.0")])
def test_a_library_that_wants_an_older_core(place: Place, core: str, older: str) -> None:
    """A pack's own pin of the core is overruled (`test_the_core_stays`); its library's cannot be."""
    wheel(place.wheels, core, "1.0")
    wheel(place.wheels, "old", "1.0", [older])
    pack(place.root / "Beta", "old")
    fails(place, core, "./Beta")


def test_broken_lines_are_left_out_and_packages_that_nobody_has_are_not(place: Place) -> None:
    pack(place.root / "Beta", "what is == this", "-e .", "../../../etc/passwd", "not-to-be-had")
    fails(place, "not-to-be-had", "./Beta")
    pack(place.root / "Beta", "what is == this", "-e .", "../../../etc/passwd")
    done = place.install("./Beta")
    (wanted,) = [one for one in done.plan.wanted if one.pack == "Beta"]
    assert [problem.partition(" ")[0] for problem in wanted.problems] == [
        "Beta/requirements.txt:1:",
        "Beta/requirements.txt:2:",
        "Beta/requirements.txt:3:",
    ]
    assert freeze(place.environment) == {**CORE, "kept": "1.0"}


def test_an_install_script_that_fails_after_it_wrote(place: Place) -> None:
    script = (
        "import pathlib\npathlib.Path('../left').touch()\npathlib.Path('here').touch()\nraise SystemExit(2)"
    )
    pack(place.root / "Beta", "thing", install__py=script.replace("../left", "left"))
    fails(place, r"Beta/install.py failed \(exit code 2\)", "./Beta", run_scripts=True)


def test_a_zip_that_climbs_out(place: Place) -> None:
    for number, names in enumerate((["../out.py"], ["/abs.py"], ["a/../../out.py"])):
        archive = place.root / f"pack{number}.zip"
        archive.write_bytes(zip_of([("__init__.py", ""), *((name, "") for name in names)]))
    link = [("__init__.py", ""), member("link", 0o120777, "../../out")]
    (place.root / "link.zip").write_bytes(zip_of(link))
    for name in ("pack0.zip", "pack1.zip", "pack2.zip"):
        fails(place, "leads? out|outside|absolute|begins with", f"./{name}")
    fails(place, "leads out of the pack", "./link.zip")
    assert not list(place.root.rglob("out.py"))


SUBMODULES = {
    "a file": "file:///etc",
    "a command": "ext::sh -c touch% ran",
    "an option": "--upload-pack=touch ran",
    "this machine by another road": "http://127.0.0.1:1/x",
    "out of the host": "../../../../../etc",
}


@pytest.mark.parametrize("address", SUBMODULES)
def test_a_hostile_submodule(place: Place, server: GitServer, address: str) -> None:
    repo = Repo(server.root / "owner" / "Outer")
    head = repo.commit({"__init__.py": "NODE_CLASS_MAPPINGS = {}"})
    repo.add_submodule("inner", SUBMODULES[address], head)
    fails(place, "submodule inner|inner", f"{server.url}/owner/Outer")
    assert not list(place.root.rglob("ran"))


@pytest.mark.parametrize("path", ["../../outside", ".git/hooks", "/etc/x", "-option"])
def test_a_submodule_in_a_hostile_place(place: Place, server: GitServer, path: str) -> None:
    repo = Repo(server.root / "owner" / "Outer")
    repo.commit({"__init__.py": "NODE_CLASS_MAPPINGS = {}"})
    (repo.folder / ".gitmodules").write_text(f'[submodule "x"]\n\tpath = {path}\n\turl = ../Outer\n')
    repo.git("add", "--all")
    repo.save()
    place.install(f"{server.url}/owner/Outer")  # the commit records nothing at that place: nothing is fetched
    assert [path.name for path in (place.home / "custom_nodes").iterdir()] == ["Outer"]
    assert not list(place.root.rglob("outside"))


@pytest.mark.parametrize(
    "ref",
    ["--upload-pack=touch${IFS}ran", "-c core.sshCommand=ran", "main;touch ran", "a..b", "$(touch ran)"],
)
def test_a_hostile_branch(place: Place, server: GitServer, ref: str) -> None:
    Repo(server.root / "owner" / "Pack").commit({"__init__.py": "NODE_CLASS_MAPPINGS = {}"})
    fails(place, ".", f"{server.url}/owner/Pack@{ref}")
    assert not list(place.root.rglob("ran"))


@pytest.mark.parametrize(
    "url",
    [
        "ext::sh -c touch% ran",
        "git+ext::sh -c touch% ran",
        "fd::17/foo",
        "--upload-pack=touch ran",
        "ssh://-oProxyCommand=touch${IFS}ran/x/y",
        "https://127.0.0.1:1/owner/..",
    ],
)
def test_a_hostile_address(place: Place, url: str) -> None:
    fails(place, ".", url)
    assert not list(place.root.rglob("ran"))


MOMENTS = {
    "while it is fetched": "fetching",
    "while packages are resolved": "resolving",
    "while packages are fetched": "fetching and building",
    "while packages are installed": "installing",
    "while a script runs": "running install.py",
    "while it is imported": "testing its import",
}


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_process_that_is_killed(place: Place, moment: str) -> None:
    """SIGKILL as soon as it says so; whatever command on packs comes next takes it back."""
    python = make_whole_environment(place.root / "whole").python
    source = pack(place.root / "Alpha", "thing<2", install__py="import time\ntime.sleep(1)\n")
    commit(source)

    def command(*arguments: str) -> list[str | Path]:
        return [python, "-m", "comfykit", *arguments, "--home", place.home]

    def comfykit(*arguments: str) -> str:
        done = subprocess.run(
            command(*arguments), cwd=place.root, capture_output=True, text=True, check=False, timeout=600
        )
        assert done.returncode == 0, done.stderr
        return done.stderr

    (place.home / "custom_nodes").mkdir(parents=True)
    (place.home / "custom_nodes" / "theirs.py").write_text("NODE_CLASS_MAPPINGS = {}\n")
    whole = Place(place.root, place.settings, type(place.environment)(python), [])
    before = state(whole)
    with subprocess.Popen(
        command("install-nodes", f"file://{source}", "--run-scripts"),
        cwd=place.root,
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stderr is not None
        said = next((line for line in process.stderr if MOMENTS[moment] in line), None)
        os.kill(process.pid, signal.SIGKILL)
    assert said is not None
    comfykit("packs", "list")
    assert state(whole) == before
    assert "1 pack added" in comfykit("install-nodes", f"file://{source}")
