"""Run by `comfykit.nodes.regex` as a process: reads a question as JSON, writes the answer as JSON.

Imports nothing of comfykit, so that it starts at once.
"""

from __future__ import annotations

import json
import re
import sys
from typing import Any


def answer(question: dict[str, Any]) -> Any:
    """What `comfykit.nodes.regex.Matcher` asked for."""
    kinds = (re.IGNORECASE, re.MULTILINE, re.DOTALL)
    flags = sum(kind for kind, wanted in zip(kinds, question["flags"], strict=True) if wanted)
    pattern, text = re.compile(question["pattern"], flags), question["text"]
    if question["what"] == "replace":
        return pattern.sub(question["replacement"], text, count=question["count"])
    if question["what"] == "first":
        match = pattern.search(text)
        return match and [match[0], *match.groups()]
    return [[match[0], *match.groups()] for match in pattern.finditer(text)]


if __name__ == "__main__":
    try:
        said = {"result": answer(json.load(sys.stdin))}
    except (re.error, IndexError, OverflowError, RecursionError) as error:
        said = {"error": str(error)}
    json.dump(said, sys.stdout)
