"""Makes the modules of tools/demo_model importable, as they are for its scripts."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[2] / "tools" / "demo_model"))
