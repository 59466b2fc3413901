"""Imports a pack and says what came of it, as `comfykit.compat.probe` does, without an engine around it."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path


def main(pack: Path) -> None:
    told: dict[str, object] = {"pack": pack.name, "classes": [], "failure": None}
    file = pack / "__init__.py" if pack.is_dir() else pack
    try:
        spec = importlib.util.spec_from_file_location("pack", file, submodule_search_locations=[str(pack)])
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        told["classes"] = list(module.NODE_CLASS_MAPPINGS)
    except Exception as error:  # noqa: BLE001  (a pack may raise anything)
        told["failure"] = {"cause": f"{type(error).__name__}: {error}", "hint": None}
    sys.stdout.write(json.dumps(told) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
