"""Installing packs into a home and an environment, with real processes, wheels and repositories."""

from __future__ import annotations

import errno
import os
from dataclasses import replace
from pathlib import Path

import pytest

from comfykit.errors import PackError
from comfykit.home import open_home
from comfykit.packs import probing
from comfykit.packs.environment import freeze
from comfykit.packs.installed import list_packs, read_records
from comfykit.packs.lock import read_lock
from comfykit.packs.tree import tree_hash
from comfykit.services import pack_changes, pack_imports, pack_scripts
from comfykit.services.install_packs import plan_install
from comfykit.services.pack_changes import finish_interrupted
from pack_support import CORE, Place, commit, pack, wheel


def test_packs_and_what_they_need_are_installed_tested_and_locked(place: Place) -> None:
    head = commit(pack(place.root / "source" / "Alpha", "thing", classes=("A", "B")))
    pack(place.root / "Beta", "thing<2", code="import thing\nassert thing.VERSION == '1.0'")
    done = place.install(f"file://{place.root}/source/Alpha", "./Beta")
    assert [(step.name, step.action) for step in done.plan.steps] == [("Alpha", "add"), ("Beta", "add")]
    assert done.imports["Alpha"].classes == ("A", "B")
    assert freeze(place.environment) == {**CORE, "below": "1.0", "thing": "1.0"}
    home = place.settings.home
    lock = read_lock(home)
    assert lock is not None
    alpha, beta = lock.packs
    assert (alpha.kind, alpha.commit, alpha.tree) == (
        "git",
        head,
        tree_hash(place.home / "custom_nodes/Alpha"),
    )
    assert (beta.kind, beta.url) == ("folder", str(place.root / "Beta"))
    below, thing = lock.packages
    assert (thing.version, thing.wanted_by) == ("1.0", ("Alpha", "Beta"))
    assert (below.name, below.wanted_by) == ("below", ("Alpha", "Beta"))
    assert all(one.startswith("sha256:") for one in (*below.hashes, *thing.hashes))
    assert lock.core == {"numpy": CORE["numpy"], "torch": CORE["torch"]}
    assert [pack.record and pack.record.imports for pack in list_packs(home)] == ["", ""]

    before = place.state()
    assert place.plan("./Beta").is_empty
    assert place.state() == before


def test_a_dry_run_leaves_no_trace(place: Place) -> None:
    pack(place.root / "Beta", "thing")
    assert [change.name for change in place.plan("./Beta").changes] == ["below", "thing"]
    assert not place.home.exists()
    assert freeze(place.environment) == CORE


def test_without_packages_only_the_pack_comes(place: Place) -> None:
    pack(place.root / "Beta", "thing")
    with place.changing() as work:
        work.carry_out(plan_install(work, ["./Beta"], folder=place.root, resolve_packages=False))
    assert freeze(place.environment) == CORE


FAILURES = {
    "an import that fails": ("import nowhere", "thing", "ModuleNotFoundError: No module named 'nowhere'"),
    "a crash": ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "thing", "SIGSEGV"),
    "an exit": ("import os; os._exit(3)", "thing", "exit code 3"),
    "a package that nobody has": ("", "nowhere-to-be-had", "nowhere-to-be-had"),
    "pins that disagree": ("", "thing==2.0", "Beta"),
}


@pytest.mark.parametrize("failure", FAILURES)
def test_after_a_failure_everything_is_as_it_was(place: Place, failure: str) -> None:
    code, requirement, said = FAILURES[failure]
    pack(place.root / "Beta", "thing==1.0")
    place.install("./Beta")
    before = place.state()
    pack(place.root / "Gamma", requirement, code=f"open('made-by-gamma', 'w').close()\n{code}")
    pack(place.root / "Delta")
    with pytest.raises(PackError) as caught:
        place.install("./Delta", "./Gamma")
    assert said in str(caught.value)
    assert place.state() == before
    assert sorted(path.name for path in (place.home / ".comfykit/packs").iterdir()) == [
        "installed.json",
        "packages.json",
        "snapshots",
    ]


def test_the_core_stays_whatever_a_pack_pins(place: Place) -> None:
    wheel(place.wheels, "numpy", "1.26.4")
    pack(place.root / "Beta", "numpy<2", "torch==1.0", "thing")
    done = place.install("./Beta")
    assert done.plan.resolution is not None
    assert {one.name for one in done.plan.resolution.overruled} == {"numpy", "torch"}
    assert freeze(place.environment) == {**CORE, "below": "1.0", "thing": "2.0"}


def test_a_broken_line_is_named_with_its_pack(place: Place) -> None:
    pack(place.root / "Beta", "thing", "what is == this")
    (problem,) = [one for wanted in place.plan("./Beta").wanted for one in wanted.problems]
    assert problem.startswith("Beta/requirements.txt:2: ")


def test_an_index_that_a_pack_names_is_asked_about(place: Place) -> None:
    elsewhere = wheel(place.root / "elsewhere", "rare", "1.0").parent
    pack(place.root / "Beta", f"--find-links {elsewhere.as_uri()}", "rare")
    asked: list[object] = []
    with place.changing() as work:
        plan = plan_install(
            work, ["./Beta"], folder=place.root, allow=lambda named: bool(asked.extend(named))
        )
        assert plan.resolution is not None
        assert plan.resolution.conflicts
    assert asked == [("Beta", elsewhere.as_uri())]
    with place.changing() as work:
        plan = plan_install(work, ["./Beta"], folder=place.root, allow=lambda named: True)
        assert [change.name for change in plan.changes] == ["rare"]


def test_another_pack_in_the_way_is_not_touched(place: Place) -> None:
    theirs = pack(place.home / "custom_nodes" / "Beta", code="mine = 1")
    before = place.state()
    pack(place.root / "Beta")
    with pytest.raises(PackError, match="nobody knows where it came from"):
        place.install("./Beta")
    commit(theirs)
    with pytest.raises(PackError, match="nobody knows where it came from"):
        place.install("./Beta")
    assert place.state() == before


def test_a_known_malicious_pack_is_refused(place: Place) -> None:
    with pytest.raises(PackError, match="is refused"):
        place.install("AppleBotzz/ComfyUI_LLMVISION")
    assert not place.home.exists()


def test_a_script_runs_only_where_that_is_said(place: Place) -> None:
    script = "import subprocess, pathlib\npathlib.Path('ran').write_text('x')\n"
    pack(place.root / "Beta", install__py=script, prestartup_script__py="raise SystemExit")
    scripts = place.plan("./Beta").scripts
    assert [(one.name, one.runs_now, one.does) for one in scripts] == [
        ("install.py", True, ("starts programs",)),
        ("prestartup_script.py", False, ()),
    ]
    place.install("./Beta")
    ran = place.home / "custom_nodes/Beta/ran"
    assert not ran.exists()
    assert not read_records(place.settings.home)["Beta"].scripts
    with place.changing() as work:
        work.carry_out(plan_install(work, ["./Beta"], folder=place.root), run_scripts=True)
    assert not ran.exists()  # the pack was there already
    (place.root / "Beta" / "more").touch()
    place.install("./Beta", run_scripts=True)
    assert ran.exists()
    assert read_records(place.settings.home)["Beta"].scripts


SCRIPTS = {
    "it fails": ("raise SystemExit('no such card')", "failed (exit code 1)"),
    "it takes too long": ("import time\ntime.sleep(60)", "took more than 1 s"),
    "it changes the core": (
        "import pathlib, shutil, sysconfig\n"
        "site = pathlib.Path(sysconfig.get_paths()['purelib'])\n"
        "shutil.rmtree(site / 'numpy-2.4.6.dist-info')\n"
        "about = site / 'numpy-1.0.dist-info'\n"
        "about.mkdir()\n"
        "(about / 'METADATA').write_text('Metadata-Version: 2.1\\nName: numpy\\nVersion: 1.0\\n')\n"
        "(about / 'RECORD').write_text(f'{about.name}/METADATA,,\\n{about.name}/RECORD,,\\n')\n",
        "changed what comfykit stands on (numpy 2.4.6 -> 1.0)",
    ),
}


@pytest.mark.parametrize("script", SCRIPTS)
def test_after_a_script_that_does_harm_everything_is_as_it_was(
    place: Place, script: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pack_scripts, "SECONDS", 1)
    code, said = SCRIPTS[script]
    before = place.state()
    pack(place.root / "Beta", "thing", install__py=code)
    with pytest.raises(PackError) as caught:
        place.install("./Beta", run_scripts=True)
    assert said in str(caught.value)
    assert place.state() == before


@pytest.mark.parametrize("moment", ["_place", "_change_packages", "_try_imports", "_write"])
def test_a_killed_installation_is_undone_by_the_next_command(place: Place, moment: str) -> None:
    pack(place.root / "Beta", "thing==1.0")
    place.install("./Beta")
    before = place.state()
    pack(place.root / "Beta", "thing==2.0")
    pack(place.root / "Gamma")
    child = os.fork()
    if child == 0:  # a process of its own that dies right after the moment
        real = getattr(pack_changes.Workbench, moment)

        def dies(*arguments: object, **options: object) -> None:
            real(*arguments, **options)
            os.kill(os.getpid(), 9)

        setattr(pack_changes.Workbench, moment, dies)
        place.install("./Beta", "./Gamma")
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -9
    assert (place.home / ".comfykit/packs/journal.json").is_file()
    finish_interrupted(place.settings)
    assert place.state() == before


def test_an_interrupted_installation_is_undone_at_once(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    pack(place.root / "Beta", "thing")
    before = place.state()

    def interrupted(*arguments: object, **options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(pack_imports, "probe_pack", interrupted)
    with pytest.raises(KeyboardInterrupt):
        place.install("./Beta")
    assert place.state() == before


def test_other_packs_are_tested_where_a_package_of_theirs_changes(place: Place) -> None:
    pack(place.root / "Beta", "thing", code="import thing\nassert thing.VERSION == '2.0', 'too old'")
    place.install("./Beta")
    before = place.state()
    pack(place.root / "Gamma", "thing<2")
    with pytest.raises(PackError, match="Beta cannot be imported: AssertionError: too old"):
        place.install("./Gamma")
    assert place.state() == before


def test_what_a_pack_writes_while_it_is_tested_does_not_reach_the_home(place: Place) -> None:
    code = "import os, pathlib\nhere = pathlib.Path(__file__).parent\n(here / 'made').touch()\n"
    code += "(pathlib.Path(os.environ['COMFYKIT_HOME']) / 'made').touch()\n"
    pack(place.root / "Beta", code=code)
    place.install("./Beta")
    assert not list(place.home.rglob("made"))


def test_a_pack_that_hangs_is_ended(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probing, "SECONDS", 1.0)
    pack(place.root / "Beta", code="import time\ntime.sleep(60)")
    with pytest.raises(PackError, match="took more than 1 s"):
        place.install("./Beta")
    assert not place.home.exists()


def test_a_single_file_is_a_pack(place: Place, tmp_path: Path) -> None:
    (tmp_path / "one.py").write_text("NODE_CLASS_MAPPINGS = {'One': object}\n")
    done = place.install("./one.py")
    assert done.imports["one.py"].classes == ("One",)
    assert (place.home / "custom_nodes" / "one.py").is_file()


def test_a_disk_that_refuses_is_said_and_everything_is_as_it_was(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    pack(place.root / "Beta")
    before = place.state()

    def refuse(*arguments: object, **options: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(pack_changes, "render_lock", refuse)
    with pytest.raises(PackError, match=r"No space left on device.*everything is as it was"):
        place.install("./Beta")
    assert place.state() == before
    (place.root / "file").touch()
    with pytest.raises(PackError, match="cannot be made"):
        replace(
            place, settings=replace(place.settings, home=open_home(place.root / "file" / "home"))
        ).install("./Beta")
