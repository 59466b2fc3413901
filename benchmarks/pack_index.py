"""How long it takes to know which pack offers which node class, with many packs installed.

    python benchmarks/pack_index.py [--packs 30] [--classes 40] [--files 20] [--repeat 20] [PACK...]

Without PACK, packs are written for the measurement: each a folder with `--files` modules and `--classes`
node classes. With some, those folders are linked into a home. `first` reads every source, as after packs
have come; `again` is what every other command pays: the packs are looked through for files that changed, and
nothing is imported. Both are within one process, the files in the page cache; `again` is the median.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from comfykit.home import open_home
from comfykit.packs.index import ClassIndex, class_index
from comfykit.packs.scan import source_files

CLASS = """
class Node{number}:
    @classmethod
    def INPUT_TYPES(cls):
        return {{"required": {{"value": ("INT", {{"default": {number}}})}}}}
    RETURN_TYPES = ("INT",)
    FUNCTION = "run"
    CATEGORY = "benchmark"
    def run(self, value):
        return (value + {number},)
"""


def write_pack(folder: Path, classes: int, files: int) -> None:
    """A pack whose classes are spread over modules, as large ones are."""
    folder.mkdir()
    imports, names = [], []
    for at in range(files):
        own = range(at, classes, files)
        text = "".join(CLASS.format(number=number) for number in own)
        (folder / f"nodes_{at}.py").write_text(f"{text or 'VALUE = 0'}\n")
        imports += [f"from .nodes_{at} import Node{number}" for number in own]
        names += [f'    "{folder.name} {number}": Node{number},' for number in own]
    mappings = "\n".join(["NODE_CLASS_MAPPINGS = {", *names, "}"])
    (folder / "__init__.py").write_text("\n".join([*imports, mappings, ""]))


def timed(work: Callable[[], ClassIndex]) -> tuple[float, ClassIndex]:
    began = time.perf_counter()
    found = work()
    return time.perf_counter() - began, found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("packs_given", metavar="PACK", type=Path, nargs="*")
    parser.add_argument("--packs", type=int, default=30)
    parser.add_argument("--classes", type=int, default=40)
    parser.add_argument("--files", type=int, default=20)
    parser.add_argument("--repeat", type=int, default=20)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        nodes = Path(folder) / "custom_nodes"
        nodes.mkdir()
        for pack in given.packs_given:
            (nodes / pack.name).symlink_to(pack.resolve())
        if not given.packs_given:
            for number in range(given.packs):
                write_pack(nodes / f"pack-{number}", given.classes, given.files)
        home = open_home(Path(folder))
        first, index = timed(lambda: class_index(home))
        again = [timed(lambda: class_index(home))[0] for _ in range(given.repeat)]
        files = sum(len(list(source_files(place.path))) for place in index.places.values())
        torch = "torch" in sys.modules
    classes = sum(len(entry.classes) for entry in index.entries.values())
    unclear = len(index.unclear())
    print(
        f"{len(index.entries)} packs, {files} files, {classes} classes named, {unclear} packs name others too"
    )
    print(f"first {first:.3f} s, again {statistics.median(again):.4f} s (slowest {max(again):.4f})")
    print(f"torch imported: {'yes' if torch else 'no'}")


if __name__ == "__main__":
    main()
