from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from comfykit.compat import modules
from comfykit.compat.modules import Missing, MissingAttribute, MissingModule, MissingName


@pytest.fixture(autouse=True)
def served() -> Iterator[None]:
    modules.install()
    yield
    modules.remove()


def in_pack(tmp_path: Path, source: str) -> dict[str, object]:
    """Run code as that of a pack called Some-Pack."""
    modules.pack_folders[str(tmp_path)] = "Some-Pack"
    names: dict[str, object] = {}
    exec(compile(source, str(tmp_path / "nodes.py"), "exec"), names)
    return names


def test_a_module_is_the_same_under_both_names() -> None:
    public = importlib.import_module("comfy.utils")
    assert public is importlib.import_module("comfykit.compat.host.comfy.utils")
    assert public.__spec__ is not None
    assert public.__spec__.name == public.__name__ == "comfykit.compat.host.comfy.utils"


def test_what_a_pack_assigns_is_seen_by_us(monkeypatch: pytest.MonkeyPatch) -> None:
    from comfykit.compat.host.comfy import utils

    monkeypatch.setattr(importlib.import_module("comfy.utils"), "added_by_a_pack", 1, raising=False)
    assert utils.added_by_a_pack == 1  # type: ignore[attr-defined]


def test_submodules_need_not_have_been_imported() -> None:
    assert importlib.import_module("comfy").utils is importlib.import_module("comfy.utils")


@pytest.mark.parametrize(
    ("source", "error", "part", "words"),
    [
        (
            "import comfy.utils\ncomfy.utils.gone",
            MissingAttribute,
            "comfy.utils.gone",
            "comfykit's 'comfy.utils' has no 'gone', which Some-Pack uses",
        ),
        (
            "from comfy.utils import gone",
            MissingName,
            "comfy.utils.gone",
            "comfykit's 'comfy.utils' has no 'gone', which Some-Pack uses",
        ),
        (
            "import comfy.gone.deeper",
            MissingModule,
            "comfy.gone",
            "comfykit has no module 'comfy.gone', which Some-Pack uses",
        ),
        ("from comfy import gone", MissingName, "comfy.gone", "comfykit's 'comfy' has no 'gone', which"),
    ],
)
def test_what_is_missing_names_module_attribute_and_pack(
    tmp_path: Path, source: str, error: type[Exception], part: str, words: str
) -> None:
    with pytest.raises(error) as caught:
        in_pack(tmp_path, source)
    assert words in str(caught.value)
    assert caught.value.part == part  # type: ignore[attr-defined]
    assert {(found.name, found.pack) for found in modules.missing} == {(part, "Some-Pack")}


def test_packs_that_try_find_ordinary_errors(tmp_path: Path) -> None:
    names = in_pack(
        tmp_path,
        """
import comfy.utils
found = [hasattr(comfy.utils, "gone"), getattr(comfy.utils, "gone", 3)]
try:
    from comfy.utils import gone
except ImportError:
    found.append("import")
try:
    import comfy.gone
except ModuleNotFoundError as error:
    found.append(error.name)
""",
    )
    assert names["found"] == [False, 3, "import", "comfy.gone"]


def test_looking_whether_a_module_is_there_is_no_import() -> None:
    assert importlib.util.find_spec("comfy.gone") is None
    assert importlib.util.find_spec("comfy.utils") is not None
    assert not modules.missing


def test_modules_of_others_are_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "utterly_other.py").write_text("x = 1")
    monkeypatch.syspath_prepend(tmp_path)
    assert importlib.import_module("utterly_other").x == 1
    with pytest.raises(ModuleNotFoundError, match="No module named 'utterly_gone'"):
        importlib.import_module("utterly_gone")


def test_removed_they_are_not_served() -> None:
    importlib.import_module("comfy.utils")
    modules.remove()
    assert "comfy.utils" not in sys.modules
    assert importlib.util.find_spec("comfy") is None
    modules.install()


def test_without_a_pack_nobody_is_named() -> None:
    assert str(Missing("comfy", "gone", "")) == "comfykit's 'comfy' has no 'gone'"
