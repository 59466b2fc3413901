from __future__ import annotations

import re
from pathlib import Path

from comfykit.nodes.builtin import builtin_registry

PAGE = Path(__file__).parents[1] / "docs" / "nodes.md"


def test_the_page_lists_every_built_in_node_and_no_other_as_built_in() -> None:
    """Fails after a node was added or taken out: run tools/nodes_page.py."""
    rows = re.findall(
        r"^\| ([^|]+) \| (built in|not yet) \| (.*) \|$", PAGE.read_text(encoding="utf-8"), re.M
    )
    assert {name for name, status, _ in rows if status == "built in"} == {
        entry.name for entry in builtin_registry()
    }
    assert all(said for _, _, said in rows), "a description or a reason for each"
