"""Nodes that change, compare and search texts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated

from comfykit.engine.define import boolean, combo, integer, node, text
from comfykit.engine.schema import Input
from comfykit.errors import UsageError
from comfykit.nodes.regex import BadPattern, Matcher
from comfykit.nodes.types import Boolean, Context, Int, Text

CASES: Mapping[str, Callable[[str], str]] = {
    "UPPERCASE": str.upper,
    "lowercase": str.lower,
    "Capitalize": str.capitalize,
    "Title Case": str.title,
}
TRIMS: Mapping[str, Callable[[str], str]] = {"Both": str.strip, "Left": str.lstrip, "Right": str.rstrip}
COMPARISONS: Mapping[str, Callable[[str, str], bool]] = {
    "Starts With": str.startswith,
    "Ends With": str.endswith,
    "Equal": str.__eq__,
}
EXTRACTIONS = ("First Match", "All Matches", "First Group", "All Groups")

Lines = Annotated[str, text(multiline=True)]
Position = Annotated[int, Input("INT", step=1)]
IgnoresCase = Annotated[bool, boolean(True)]
HeedsCase = Annotated[bool, boolean(True)]
Off = Annotated[bool, boolean(False)]


@node("StringConcatenate", title="Concatenate", category="utils/string")
def string_concatenate(string_a: Lines, string_b: Lines, delimiter: Annotated[str, text()]) -> Text:
    """Join two texts, with another one between."""
    return f"{string_a}{delimiter}{string_b}"


@node("StringSubstring", title="Substring", category="utils/string")
def string_substring(string: Lines, start: Position, end: Position) -> Text:
    """Take the characters from `start` up to `end`, counted from 0; negative ones count from the end."""
    return string[start:end]


@node("StringLength", title="Length", category="utils/string", output_names=("length",))
def string_length(string: Lines) -> Int:
    """Count the characters of a text."""
    return len(string)


@node("CaseConverter", title="Case Converter", category="utils/string")
def case_converter(string: Lines, mode: Annotated[str, combo(tuple(CASES))]) -> Text:
    """Change the case of letters: all of them, or all but the first of the text or of each word."""
    return CASES[mode](string)


@node("StringTrim", title="Trim", category="utils/string")
def string_trim(string: Lines, mode: Annotated[str, combo(tuple(TRIMS))]) -> Text:
    """Take white space away from one end of a text or both."""
    return TRIMS[mode](string)


@node("StringReplace", title="Replace", category="utils/string")
def string_replace(string: Lines, find: Lines, replace: Lines) -> Text:
    """Replace a text wherever it stands in another."""
    return string.replace(find, replace)


@node("StringContains", title="Contains", category="utils/string", output_names=("contains",))
def string_contains(string: Lines, substring: Lines, case_sensitive: HeedsCase) -> Boolean:
    """Whether a text stands somewhere in another."""
    return substring in string if case_sensitive else substring.lower() in string.lower()


@node("StringCompare", title="Compare", category="utils/string")
def string_compare(
    string_a: Lines,
    string_b: Lines,
    mode: Annotated[str, combo(tuple(COMPARISONS))],
    case_sensitive: HeedsCase,
) -> Boolean:
    """Whether the first text begins or ends with the second, or is the same."""
    if not case_sensitive:
        string_a, string_b = string_a.lower(), string_b.lower()
    return COMPARISONS[mode](string_a, string_b)


@node("RegexMatch", title="Regex Match", category="utils/string", output_names=("matches",))
def regex_match(
    string: Lines,
    regex_pattern: Lines,
    case_insensitive: IgnoresCase,
    multiline: Off,
    dotall: Off,
    context: Context,
) -> Boolean:
    """Whether a regular expression fits somewhere in a text; one that is invalid fits nowhere."""
    try:
        return Matcher(regex_pattern, case_insensitive, multiline, dotall).first(string) is not None
    except BadPattern as error:
        context.warn(str(error), error.hint)
        return False


@node("RegexExtract", title="Regex Extract", category="utils/string")
def regex_extract(
    string: Lines,
    regex_pattern: Lines,
    mode: Annotated[str, combo(EXTRACTIONS)],
    case_insensitive: IgnoresCase,
    multiline: Off,
    dotall: Off,
    group_index: Annotated[int, integer(1, 0, 100)],
    context: Context,
) -> Text:
    """Take out what a regular expression fits, or one group of it; all of them stand on lines of their own.

    Group 0 is the whole match. All Matches of an expression with groups are what its first group fits. Where
    nothing fits, or the expression is invalid, the text is empty.
    """
    try:
        matcher = Matcher(regex_pattern, case_insensitive, multiline, dotall)
        if mode.startswith("First"):
            found = matcher.first(string)
            matches = [] if found is None else [found]
        else:
            matches = matcher.all(string)
    except BadPattern as error:
        context.warn(str(error), error.hint)
        return ""
    if mode == "First Match":
        return "".join(match[0] or "" for match in matches)
    if mode == "All Matches":
        return "\n".join((match[1] if len(match) > 1 else match[0]) or "" for match in matches)
    return "\n".join(match[group_index] or "" for match in matches if len(match) > group_index)


@node("RegexReplace", title="Regex Replace", category="utils/string")
def regex_replace(
    string: Lines,
    regex_pattern: Lines,
    replace: Lines,
    case_insensitive: IgnoresCase = True,
    multiline: Off = False,
    dotall: Off = False,
    count: Annotated[int, integer(0, 0, 100)] = 0,
) -> Text:
    r"""Replace what a regular expression fits; `\1` in the replacement is what its first group fits.

    `count` is how often at most; 0 means everywhere.
    """
    try:
        return Matcher(regex_pattern, case_insensitive, multiline, dotall).replaced(string, replace, count)
    except BadPattern as error:
        raise UsageError(str(error), hint=error.hint) from error
