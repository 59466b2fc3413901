from __future__ import annotations

import pytest

from comfykit.errors import PackError
from comfykit.packs.resolution import Conflict
from comfykit.packs.resolve import apply, resolve
from comfykit.packs.uv_tool import Sources
from package_support import Place


def conflicts(place: Place, **packs: str) -> tuple[Conflict, ...]:
    """What packs with these requirements disagree about; nothing may have changed."""
    before = place.freeze()
    resolution = place.resolve(*(place.pack(name, text) for name, text in packs.items()))
    assert resolution.conflicts
    assert (resolution.changes, resolution.pins) == ((), ())
    assert place.freeze() == before
    with pytest.raises(PackError, match="packs disagree, nothing was installed"):
        apply(resolution, place.environment)
    return resolution.conflicts


def test_pins_that_contradict_one_another(core_place: Place) -> None:
    (conflict,) = conflicts(core_place, One="alpha==1.0\n", Two="beta<2\n", Three="tqdm\n\nalpha>=2\n")
    assert conflict.packs == ("One", "Three")
    assert conflict.about == "alpha"
    assert conflict.message == (
        "One and Three disagree about alpha: One wants alpha==1.0 (One/requirements.txt:1) and "
        "Three wants alpha>=2 (Three/requirements.txt:3)"
    )
    # Leaving out One is not enough: with beta<2, Two needs an old alpha as well.
    assert conflict.suggestion == ("leave out Three; or loosen 'alpha>=2' in Three/requirements.txt:3")
    assert "One depends on alpha==1.0" in conflict.detail
    assert "comfykit-pack" not in conflict.detail


def test_pins_that_contradict_one_another_below(core_place: Place) -> None:
    (conflict,) = conflicts(core_place, One="beta==2.0\n", Two="alpha<2\n")
    assert (conflict.packs, conflict.about) == (("One", "Two"), "alpha")
    assert conflict.message.startswith("One and Two disagree about alpha: beta")
    assert "needs alpha==2.0 and Two needs alpha<2" in conflict.message


def test_opencv_under_two_names_can_contradict(core_place: Place) -> None:
    (conflict,) = conflicts(core_place, One="opencv-python==4.11.0", Two="opencv-python-headless>=4.12")
    assert conflict.packs == ("One", "Two")
    assert "One wants opencv-python==4.11.0 (One/requirements.txt:1)" in conflict.message


def test_a_library_that_would_downgrade_numpy(core_place: Place) -> None:
    (conflict,) = conflicts(core_place, Old="oldmath\n", Fine="alpha\n")
    assert (conflict.packs, conflict.about) == (("Old",), "numpy")
    assert conflict.message == (
        "Old cannot be installed beside numpy 2.4.6, which comfykit needs: oldmath needs numpy<2"
    )
    assert conflict.suggestion == "leave out Old"


def test_every_conflict_is_named(core_place: Place) -> None:
    found = conflicts(
        core_place, None_="nosuch-thing\n", Never="alpha==9\n", Broken="unbuildable\n", Fine="alpha\n"
    )
    told = {conflict.packs: conflict.message for conflict in found}
    assert (
        told[("None_",)]
        == "None_ wants nosuch-thing (None_/requirements.txt:1), and no index has nosuch-thing"
    )
    assert (
        told[("Never",)]
        == "Never wants alpha==9 (Never/requirements.txt:1), and there is no version alpha==9"
    )
    assert told[("Broken",)] == (
        "unbuildable==1.0, which Broken needs, cannot be built: RuntimeError: no compiler"
    )
    assert len(found) == 3


def test_an_address_that_does_not_answer_is_the_packs_fault(
    core_place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    url = "http://127.0.0.1:9/gone-1.0-py3-none-any.whl"
    (conflict,) = conflicts(core_place, Gone=f"{url}\n", Fine="alpha\n")
    assert conflict.packs == ("Gone",)
    assert conflict.message.startswith(
        f"Gone wants gone @ {url} (Gone/requirements.txt:1), which cannot be fetched"
    )


def test_an_index_that_does_not_answer_is_nobodys_fault(
    core_place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    monkeypatch.setenv("UV_DEFAULT_INDEX", "http://127.0.0.1:9/simple")
    with pytest.raises(PackError, match="packages cannot be looked up"):
        resolve([core_place.pack("A", "alpha\n")], core_place.environment, sources=Sources())


def test_addresses_of_repositories_that_are_not_there(core_place: Place) -> None:
    one, two = "git+file:///nowhere/one", "git+file:///nowhere/two"
    (first, second) = conflicts(core_place, One=f"thing @ {one}\n", Two=f"thing @ {two}\n")
    assert {first.packs, second.packs} == {("One",), ("Two",)}


def test_a_repository_that_cannot_be_fetched_is_what_it_is_about(core_place: Place) -> None:
    """And not a package that the pack names too, and that has nothing to do with it."""
    (conflict,) = conflicts(
        core_place, Fine="numpy\nalpha\n", Gone="numpy\nalpha\ngit+file:///nowhere/one.git\n"
    )
    assert conflict.packs == ("Gone",)
    assert conflict.message.startswith(
        "Gone wants git+file:///nowhere/one.git (Gone/requirements.txt:3), which cannot be fetched: "
    )
    assert "/nowhere/one.git" in conflict.message.rpartition("fetched: ")[2]
    assert conflict.suggestion == ("leave out Gone; or bring Gone with --no-deps, and what it needs by hand")
