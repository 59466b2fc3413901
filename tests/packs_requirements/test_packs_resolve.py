from __future__ import annotations

from pathlib import Path

import pytest

from comfykit.packs.resolution import Resolution
from comfykit.packs.uv_tool import run_uv
from package_support import Place, project, repository, wheel


def changes(resolution: Resolution) -> dict[str, tuple[str | None, str | None]]:
    assert resolution.conflicts == ()
    return {change.name: (change.before, change.after) for change in resolution.changes}


def test_packs_are_resolved_together(core_place: Place) -> None:
    place = core_place
    resolution = place.resolve(place.pack("T1-A", "beta\n"), place.pack("T1-B", "alpha<2\ntqdm\n"))
    assert changes(resolution) == {"alpha": (None, "1.5"), "beta": (None, "1.5")}
    assert {change.name: change.wanted_by for change in resolution.changes} == {
        "alpha": ("T1-A", "T1-B"),
        "beta": ("T1-A",),
    }
    assert [pin.split()[0] for pin in resolution.pins] == ["alpha==1.5", "beta==1.5"]
    assert all("--hash=sha256:" in pin for pin in resolution.pins)
    assert resolution.before == place.freeze()
    assert resolution.after() == {**resolution.before, "alpha": "1.5", "beta": "1.5"}


def test_nothing_wanted_is_nothing_to_do(core_place: Place) -> None:
    resolution = core_place.resolve(core_place.pack("T2", "# nothing\n"))
    assert (resolution.changes, resolution.pins, resolution.conflicts) == ((), (), ())


@pytest.mark.parametrize(
    ("line", "name", "kept"),
    [
        ("torch==2.1.0", "torch", "2.13.0+cpu"),
        ("numpy<2", "numpy", "2.4.6"),
        ("transformers @ https://host.example/transformers-4.0-py3-none-any.whl", "transformers", "5.23.0"),
        ("git+https://host.example/o/transformers.git", "transformers", "5.23.0"),
        ("tqdm==4.60.0", "tqdm", "4.70.1"),
    ],
)
def test_a_pin_of_the_core_is_overruled(core_place: Place, line: str, name: str, kept: str) -> None:
    resolution = core_place.resolve(core_place.pack("T3", f"alpha==1.0\n{line}\n"))
    assert changes(resolution) == {"alpha": (None, "1.0")}
    (overruled,) = resolution.overruled
    assert (overruled.pack, overruled.name, overruled.kept) == ("T3", name, kept)
    assert str(overruled) == f"T3/requirements.txt:2 wants {overruled.requirement}; {name} stays {kept}"


@pytest.mark.parametrize(
    "line", ["torch>=2.1", "torch==2.13.0", "numpy", "transformers", "comfykit-engine==0.0.1"]
)
def test_what_the_core_has_already_is_no_news(core_place: Place, line: str) -> None:
    resolution = core_place.resolve(core_place.pack("T4", line))
    assert (changes(resolution), resolution.overruled) == ({}, ())


def test_what_an_extra_of_the_core_adds_comes(core_place: Place) -> None:
    resolution = core_place.resolve(core_place.pack("T5", "transformers[sentencepiece]<5"))
    assert changes(resolution) == {"sentencepiece": (None, "0.2")}
    assert resolution.changes[0].wanted_by == ("T5",)
    assert [overruled.name for overruled in resolution.overruled] == ["transformers"]


def test_requirements_for_other_machines_do_not_count(core_place: Place) -> None:
    text = (
        "alpha ; sys_platform == 'nowhere'\nnosuch ; python_version < '3'\nbeta<2 ; python_version >= '3'\n"
    )
    assert set(changes(core_place.resolve(core_place.pack("T6", text)))) == {"alpha", "beta"}
    assert changes(core_place.resolve(core_place.pack("T6", "torch<2; python_version < '3'"))) == {}


def test_extras_of_a_pack(core_place: Place) -> None:
    pack = core_place.pack("T7", pyproject__toml='[project]\nname = "x"\ndependencies = ["alpha<2"]\n')
    assert changes(core_place.resolve(pack)) == {"alpha": (None, "1.5")}


def test_constraints_count(core_place: Place) -> None:
    pack = core_place.pack("T8", "alpha\n-c limits.txt\n", limits__txt="alpha<1.5\nnumpy<2\nbeta==7\n")
    resolution = core_place.resolve(pack)
    assert changes(resolution) == {"alpha": (None, "1.0")}
    assert [overruled.where for overruled in resolution.overruled] == ["T8/limits.txt:2"]


def test_candidates_come_only_where_they_are_named(core_place: Place) -> None:
    assert changes(core_place.resolve(core_place.pack("T9", "alpha"))) == {"alpha": (None, "2.0")}
    assert changes(core_place.resolve(core_place.pack("T9", "alpha==3.0rc1"))) == {"alpha": (None, "3.0rc1")}


def test_versions_that_are_refused_do_not_come(core_place: Place) -> None:
    resolution = core_place.resolve(core_place.pack("T10", "alpha"), refused=["alpha!=2.0"])
    assert changes(resolution) == {"alpha": (None, "1.5")}


def test_git_addresses_and_files(core_place: Place, tmp_path: Path) -> None:
    commit = repository(tmp_path / "repo", "gitty", "1.0", ["alpha<2"])
    named, unnamed = f"git+{(tmp_path / 'repo').as_uri()}@main", f"git+{(tmp_path / 'repo').as_uri()}"
    file = wheel(core_place.packs / "T11" / "wheels", "lonely", "1.0")
    first = core_place.pack("T11", f"gitty @ {named}\n./wheels/{Path(file).name}\n")
    resolution = core_place.resolve(first)
    assert changes(resolution) == {
        "alpha": (None, "1.5"),
        "gitty": (None, f"git+{(tmp_path / 'repo').as_uri()}@{commit}"),
        "lonely": (None, Path(file).as_uri()),
    }
    assert {change.name: change.wanted_by for change in resolution.changes}["alpha"] == ("T11",)
    second = core_place.resolve(core_place.pack("T11-b", unnamed))
    assert set(changes(second)) == {"alpha", "gitty"}
    assert {change.wanted_by for change in second.changes} == {("T11-b",)}


def test_what_is_built_is_built_and_leaves_no_trace(core_place: Place) -> None:
    resolution = core_place.resolve(core_place.pack("T12", "built"))
    assert changes(resolution) == {"built": (None, "1.0")}
    assert core_place.freeze() == resolution.before


@pytest.mark.parametrize("line", ["torchvision", "torchvision==0.16.0", "vision-user"])
def test_torchvision_comes_as_the_build_that_belongs_to_torch(core_place: Place, line: str) -> None:
    resolution = core_place.resolve(core_place.pack("T13", line))
    assert changes(resolution)["torchvision"] == (None, "0.28.0+cpu")
    assert "torchaudio" not in changes(resolution)
    assert len(resolution.overruled) == ("==" in line)


def place_with(place: Place, tmp_path: Path, *builds: str) -> Place:
    """The same place, where of torchvision these builds alone are to be had."""
    there = tmp_path / "wheels"
    there.mkdir()
    for path in place.wheels.glob("*.whl"):
        name, version, _ = path.name.split("-", 2)
        if name != "torchvision" or version in builds:
            (there / path.name).symlink_to(path)
    sources = type(place.sources)((), (str(there),), True, cache=place.sources.cache)
    return Place(place.environment, there, place.packs, sources)


def test_torchvision_is_left_out_where_no_build_belongs_to_torch(place: Place, tmp_path: Path) -> None:
    poor = place_with(place, tmp_path, "0.16.0", "0.16.0+cpu")
    resolution = poor.resolve(poor.pack("A", "torchvision\nvision-user\nalpha\n"))
    assert changes(resolution) == {"alpha": (None, "2.0"), "vision-user": (None, "1.0")}
    assert resolution.notes == (
        "torchvision is left out: torchvision==0.28.0+cpu, which belongs to torch 2.13.0+cpu, was not found "
        "(wanted by A)",
    )


def test_a_torchvision_of_the_release_that_belongs_to_torch_will_do(place: Place, tmp_path: Path) -> None:
    other = place_with(place, tmp_path, "0.16.0+cpu", "0.28.0")
    pack = other.pack("A", "torchvision==0.16.0\nvision-user\n")
    resolution = other.resolve(pack)
    assert changes(resolution) == {"torchvision": (None, "0.28.0"), "vision-user": (None, "1.0")}
    (note,) = resolution.notes
    assert note.startswith("torchvision 0.28.0 comes without the label of a device: torchvision==0.28.0+cpu")
    ended = run_uv(("install",), other.environment, other.sources, ["torchvision==0.28.0"])
    assert ended.code == 0, ended.stderr
    again = other.resolve(pack)
    assert (changes(again), again.notes) == ({"vision-user": (None, "1.0")}, ())


def test_what_no_index_has_is_left_out_where_a_second_list_alone_names_it(core_place: Place) -> None:
    broken = '[project]\nname = "a"\nversion = "1"\ndependencies = ["alpha", "nowhere-to-be-had"]\n'
    pack = core_place.pack("T16-A", "beta<2\n", pyproject__toml=broken)
    resolution = core_place.resolve(pack)
    assert changes(resolution) == {"alpha": (None, "1.5"), "beta": (None, "1.5")}
    assert resolution.notes == (
        "nowhere-to-be-had is left out: no index has it "
        "(T16-A/pyproject.toml:4; no requirements.txt names it)",
    )
    for name, text in (("T16-B", ""), ("T16-C", "nowhere-to-be-had\n")):
        alone = core_place.pack(name, text, pyproject__toml=broken)
        (conflict,) = core_place.resolve(alone).conflicts
        assert "no index has nowhere-to-be-had" in conflict.message


def test_torchvision_of_another_kind_than_torch_does_not_come(place: Place) -> None:
    ended = run_uv(("install",), place.environment, place.sources, ["torch==2.1.0"])
    assert ended.code == 0, ended.stderr
    assert changes(place.resolve(place.pack("A", "torchvision\n"))) == {"torchvision": (None, "0.16.0")}


def test_torchaudio_without_a_build_is_left_out(core_place: Place) -> None:
    resolution = core_place.resolve(core_place.pack("T14", "torchaudio\n"))
    assert changes(resolution) == {}
    assert resolution.notes == (
        "torchaudio is left out: there is no build of it for torch 2.13.0+cpu (wanted by T14)",
    )


def test_opencv_under_two_names_is_one_package(core_place: Place) -> None:
    packs = [
        core_place.pack("T15-A", "opencv-python<4.12"),
        core_place.pack("T15-B", "opencv-python-headless"),
    ]
    resolution = core_place.resolve(*packs)
    assert changes(resolution) == {"opencv-python-headless": (None, "4.11.0")}
    assert resolution.changes[0].wanted_by == ("T15-A", "T15-B")
    assert resolution.notes[0].startswith(
        "opencv-python-headless is the one choice for T15-A/requirements.txt:1"
    )


def test_opencv_from_before_numpy_2_does_not_come(core_place: Place) -> None:
    resolution = core_place.resolve(core_place.pack("T21", "opencv-python-headless[x]<=4.7.0.72 # pinned\n"))
    assert changes(resolution) == {"opencv-python-headless": (None, "4.12.0")}
    assert [str(overruled) for overruled in resolution.overruled] == [
        "T21/requirements.txt:1 wants opencv-python-headless[x]<=4.7.0.72; opencv-python-headless stays "
        "at 4.10.0.84 or later, with numpy 2.4.6"
    ]


def test_opencv_that_only_libraries_want_is_one_package_too(core_place: Place) -> None:
    resolution = core_place.resolve(core_place.pack("T16", "wants-headless\nwants-window\n"))
    assert set(changes(resolution)) == {"wants-headless", "wants-window", "opencv-python-headless"}


def test_onnxruntime_without_a_gpu(core_place: Place) -> None:
    resolution = core_place.resolve(core_place.pack("T17", "onnxruntime-gpu\n"))
    assert changes(resolution) == {"onnxruntime": (None, "1.23.0")}


def test_a_pack_for_another_python(core_place: Place) -> None:
    text = '[project]\nname = "x"\nrequires-python = ">=4"\ndependencies = ["alpha"]\n'
    (conflict,) = core_place.resolve(core_place.pack("T18", pyproject__toml=text)).conflicts
    assert conflict.packs == ("T18",)
    assert conflict.message.startswith("T18 runs on Python >=4, and this is 3.")


def test_names_that_are_hard_to_tell_apart(core_place: Place) -> None:
    names = ("T19 a", "T19-a", "節点", "-")
    packs = [core_place.pack(name, "alpha<2") for name in names]
    (change,) = core_place.resolve(*packs).changes
    assert change.wanted_by == names


def test_a_file_that_is_not_a_project_is_not_built(core_place: Place, tmp_path: Path) -> None:
    project(core_place.packs / "T20" / "lib", "inner", "1.0")
    resolution = core_place.resolve(core_place.pack("T20", "./lib\n"))
    assert set(changes(resolution)) == {"inner"}
