from __future__ import annotations

import pytest

from comfykit.packs.host_packages import imported_from_host
from package_support import Place


@pytest.mark.parametrize(
    ("line", "names"),
    [
        ("import av", ["av"]),
        ("import os, av.filter as f", ["av"]),
        ("import numpy as np, yaml", ["pyyaml"]),
        ("from PIL import Image", ["pillow"]),
        ("try:\n    from kornia.filters import x\nexcept ImportError:\n    pass", ["kornia"]),
        ("def f():\n\timport torchaudio", ["torchaudio"]),
        ("import average, avx\nfrom .einops import x\nfrom ..av import y", []),
        ("# import av\ntext = 'import av'", []),
        ("import cv2", []),
    ],
)
def test_what_a_pack_imports_of_comfyuis_own_packages(core_place: Place, line: str, names: list[str]) -> None:
    folder = core_place.packs / f"T30-{abs(hash(line))}"
    folder.mkdir(parents=True)
    (folder / "nodes.py").write_text(f"import sys\n{line}\n")
    assert [one.name for one in imported_from_host(folder)] == names


def test_it_is_wanted_where_nothing_lists_it(core_place: Place) -> None:
    source = "import einops\nimport sys\nimport av, sys\n"
    wanted = core_place.pack("T31", "einops>=0.8\n", nodes__py=source)
    assert [(one.name, one.where) for one in wanted.requirements] == [
        ("einops", "T31/requirements.txt:1"),
        ("av", "T31/nodes.py:3"),
    ]


def test_a_pack_is_not_held_up_by_what_it_only_imports(core_place: Place) -> None:
    pack = core_place.pack("T32", "alpha<2\n", nodes__py="import spandrel\nimport tqdm\n")
    resolution = core_place.resolve(pack)
    assert {change.name for change in resolution.changes} == {"alpha"}
    assert resolution.notes == (
        "spandrel is left out: no index has it (T32/nodes.py:1; no requirements.txt names it)",
    )
