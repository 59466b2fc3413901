"""The manifest grammar, and every way in which it can be misread."""

from __future__ import annotations

import pytest

from comfykit.fetch.parse import parse
from fetch_support import sha256

HASH = sha256(b"")
GOOD = b"https://host/a.safetensors\n  dir=models/vae\n  out=a.safetensors\n"


def problems(text: bytes | str) -> list[tuple[int, str]]:
    data = text.encode() if isinstance(text, str) else text
    return [(problem.line, problem.message) for problem in parse(data, "list.txt").problems]


def only_problem(text: bytes | str) -> tuple[int, str]:
    found = problems(text)
    assert len(found) == 1, found
    return found[0]


def test_an_entry_has_its_mirrors_and_options() -> None:
    parsed = parse(
        b"# Checkpoints\n"
        b"\n"
        b"https://one/m.safetensors\thttps://two/m.safetensors\n"
        b"  dir=models/checkpoints\n"
        b"# a remark\n"
        b"\n"
        b"\tout=sub/model.safetensors\n"
        b"  checksum=sha-256=" + HASH.upper().encode() + b"\n"
        b"  header=Authorization: Bearer abc\n"
        b"  header=X-Thing: 1\n"
        b"  referer=https://one/\n"
        b"  user-agent=curl/8\n",
        "list.txt",
    )
    assert not parsed.problems
    assert not parsed.warnings
    (entry,) = parsed.entries
    assert entry.urls == ("https://one/m.safetensors", "https://two/m.safetensors")
    assert entry.path == "models/checkpoints/sub/model.safetensors"
    assert (entry.kind, entry.name, entry.place) == ("checkpoints", "sub/model.safetensors", "list.txt:3")
    assert entry.sha256 == HASH
    assert entry.headers == (
        ("Authorization", "Bearer abc"),
        ("X-Thing", "1"),
        ("Referer", "https://one/"),
    )
    assert entry.user_agent == "curl/8"


@pytest.mark.parametrize("folder", ["models/vae", "vae", "./models/vae/", "models//vae"])
def test_both_spellings_of_a_folder_are_the_same(folder: str) -> None:
    (entry,) = parse(f"https://h/a.pt\n  dir={folder}\n".encode(), "x").entries
    assert entry.path == "models/vae/a.pt"


@pytest.mark.parametrize("url", ["https://h/x/my%20model.pt?download=true", "https://h/my%20model.pt"])
def test_a_name_comes_from_the_address_when_out_is_missing(url: str) -> None:
    (entry,) = parse(f"{url}\n  dir=vae\n".encode(), "x").entries
    assert entry.name == "my model.pt"


def test_a_whole_path_in_out_needs_no_dir() -> None:
    (entry,) = parse(b"https://h/a\n  out=models/vae/b.pt\n", "x").entries
    assert entry.path == "models/vae/b.pt"


@pytest.mark.parametrize("data", [b"\xef\xbb\xbf" + GOOD, GOOD.replace(b"\n", b"\r\n"), GOOD.rstrip(b"\n")])
def test_byte_order_marks_and_line_ends_do_not_matter(data: bytes) -> None:
    parsed = parse(data, "x")
    assert not parsed.problems
    assert [entry.path for entry in parsed.entries] == ["models/vae/a.safetensors"]


def test_options_below_a_commented_out_address_reach_no_other_entry() -> None:
    text = GOOD.decode() + "#https://host/b.safetensors\n  dir=models/vae\n  out=b.safetensors\n"
    found = problems(text)
    assert [line for line, _ in found] == [5, 6]
    assert "commented-out address of line 4" in found[0][1]
    assert "entry of line 1" in found[0][1]


def test_an_alternative_address_commented_out_inside_an_entry_is_reported() -> None:
    found = dict(problems("https://h/a.pt\n# https://h/b.pt\n  dir=vae\n"))
    assert "has no folder" in found[1]
    assert "commented-out address of line 2" in found[3]


def test_a_comment_that_mentions_an_address_is_only_a_comment() -> None:
    assert not problems("# more: https://host/page\n" + GOOD.decode())
    assert not problems("# https://host/page\n" + GOOD.decode())


def test_wholly_commented_entries_are_nothing() -> None:
    parsed = parse(b"#https://h/b.pt\n#  dir=vae\n#  out=b.pt\n" + GOOD, "x")
    assert not parsed.problems
    assert len(parsed.entries) == 1


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        (GOOD.decode() + "  # off\n", 4, "only in the first column"),
        ("https://h/a.pt # note\n  dir=vae\n", 1, "only in the first column"),
        ("https://h/a.pt#note\n  dir=vae\n", 1, "%23"),
        ("https://h/a.pt https://h/b.pt\n  dir=vae\n", 1, "separated by a TAB"),
        ("  dir=vae\n" + GOOD.decode(), 1, "before any address"),
        (GOOD.decode() + "  out=b.pt\n", 4, "stands already in line 3"),
        (GOOD.decode() + "  https://h/b.pt\n", 4, "indented"),
        (GOOD.decode() + "  resume\n", 4, "name=value"),
        (GOOD.decode() + "  referer=\n", 4, "is empty"),
        ("https://h/a.pt\n", 1, "has no folder"),
        ("https://h/a.pt\n  dir=models\n", 2, "in no folder"),
        ("https://h/\n  dir=vae\n", 1, "no file name"),
        ("https://h/download/models/123\n  dir=vae\n", 1, "no file name"),
        ("https://h/%2e%2e%2fa.pt\n  dir=vae\n", 2, "steps out"),
        ("dir=vae\n", 1, "no http"),
        (GOOD.decode() + "  on-download-complete=/bin/sh\n", 4, "runs a command"),
        (GOOD.decode() + "  on-download-error=/bin/sh\n", 4, "runs a command"),
        (GOOD.decode() + "  load-cookies=/etc/passwd\n", 4, "another file"),
        (GOOD.decode() + "  http-passwd=x\n", 4, "password"),
        (GOOD.decode() + "  all-proxy=http://evil\n", 4, "proxy"),
        (GOOD.decode() + "  parameterized-uri=true\n", 4, "changes what is fetched"),
        (GOOD.decode() + "  spilt=4\n", 4, "did you mean split="),
        (GOOD.decode() + "  checksum=md5=" + "0" * 32 + "\n", 4, "only sha-256"),
        (GOOD.decode() + "  checksum=sha-256=abc\n", 4, "it has 64"),
        (GOOD.decode() + "  checksum=sha-256=" + "g" * 64 + "\n", 4, "sha-256=HEX"),
        (GOOD.decode() + "  header=Host: evil\n", 4, "belongs to the transfer"),
        (GOOD.decode() + "  header=novalue\n", 4, "Name: value"),
        (GOOD.decode() + "  header=A: \u00e9\n", 4, "ASCII"),
        (GOOD.decode() + "  user-agent=\u00e9\n", 4, "ASCII"),
        (GOOD.decode() + "  dir=/etc\n", 4, "already"),
    ],
)
def test_traps_are_problems_with_their_line(text: str, line: int, words: str) -> None:
    found = only_problem(text)
    assert found[0] == line
    assert words in found[1]


def test_a_header_that_is_refused_does_not_show_its_value() -> None:
    assert "hunter2" not in only_problem(GOOD + b"  header=Authorization hunter2\n")[1]


@pytest.mark.parametrize(
    ("data", "line", "words"),
    [
        (GOOD + b"# caf\xe9\n", 4, "byte 6 is not UTF-8"),
        (GOOD.decode().encode("utf-16"), 0, "UTF-16"),
        (b"\x1f\x8b\x08rest", 0, "gzip"),
        (GOOD + b"  out\x00=x\n", 4, "control"),
        (b"https://h/a\x1b[31m.pt\n  dir=vae\n", 1, "control"),
        (GOOD + b"#" + b"x" * 70_000, 4, "longest"),
    ],
)
def test_bytes_that_are_no_text_are_problems_with_their_line(data: bytes, line: int, words: str) -> None:
    assert any(found == line and words in message for found, message in problems(data))


def test_harmless_options_of_aria2_are_noted() -> None:
    parsed = parse(GOOD + b"  split=16\n  --max-connection-per-server=16\n", "list.txt")
    assert not parsed.problems
    assert len(parsed.entries) == 1
    assert [str(warning) for warning in parsed.warnings] == [
        "list.txt:4: the option split= is for aria2; comfykit does not use it",
        "list.txt:5: the option max-connection-per-server= is for aria2; comfykit does not use it",
    ]


def test_a_folder_that_is_nearly_right_is_a_warning() -> None:
    (warning,) = parse(b"https://h/a.pt\n  dir=models/checkpoint\n", "x").warnings
    assert "models/checkpoints?" in warning.message
    assert not parse(b"https://h/a.pt\n  dir=ultralytics/segm\n", "x").warnings


@pytest.mark.parametrize("header", ["Authorization: Bearer t", "Cookie: a=b", "X-Api-Key: k"])
def test_a_secret_does_not_go_over_http_except_on_this_machine(header: str) -> None:
    below = f"  dir=vae\n  header={header}\n".encode()
    parsed = parse(b"http://host/a.pt\n" + below, "x")
    (problem,) = parsed.problems
    assert "could be read by others" in problem.message
    assert not parsed.entries
    for address in (b"http://127.0.0.1/a.pt\n", b"https://host/a.pt\n"):
        assert len(parse(address + below, "x").entries) == 1


def test_a_token_in_an_http_address_is_refused_and_not_shown() -> None:
    (problem,) = parse(b"http://host/a.pt?token=hush\n  dir=vae\n", "x").problems
    assert "write https" in problem.message
    assert "hush" not in str(problem)
    assert parse(b"http://host/a.pt?page=2\n  dir=vae\n", "x").entries


def test_short_forms_and_pages_are_read_as_the_addresses_of_bytes() -> None:
    text = (
        "hf://o/r/a.pt@v1\thttps://huggingface.co/o/r/blob/main/a.pt\n  dir=vae\n"
        "civitai:1@2\n  dir=loras\n  out=b.safetensors\n"
    )
    first, second = parse(text.encode(), "x").entries
    hub = "https://huggingface.co/o/r/resolve"
    assert (first.urls, first.name) == ((f"{hub}/v1/a.pt", f"{hub}/main/a.pt"), "a.pt")
    assert second.urls == ("https://civitai.com/api/download/models/2",)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("hf://o/r", "names no file"),
        ("hf://o/r/a b.pt", "separated by a TAB"),
        ("https://huggingface.co/o/r", "is a page"),
        ("civitai:x", "civitai:MODEL@VERSION"),
        ("https://modelscope.cn/models/o/n", "is a page"),
    ],
)
def test_addresses_of_hubs_that_name_no_file(line: str, words: str) -> None:
    parsed = parse(f"{line}\n  dir=vae\n  out=a.pt\n".encode(), "x")
    assert [problem.line for problem in parsed.problems] == [1]
    assert words in parsed.problems[0].message


def test_a_model_without_a_version_is_a_warning() -> None:
    parsed = parse(b"civitai:7\n  dir=loras\n  out=a.safetensors\n", "x")
    assert [entry.urls for entry in parsed.entries] == [("https://civitai.com/models/7",)]
    assert "names no version" in parsed.warnings[0].message


@pytest.mark.parametrize("address", ["#hf://o/r/a.pt", "#civitai:1@2", "# https://h/a.pt"])
def test_options_below_an_address_in_a_comment_are_refused(address: str) -> None:
    (problem,) = parse(f"{address}\n  dir=vae\n".encode(), "x").problems
    assert "commented-out address of line 1" in problem.message


def test_a_size_stands_in_a_comment_of_its_entry() -> None:
    text = (
        "# size=1\nhttps://h/a.pt\n  dir=vae\n#  size=12\nhttps://h/b.pt\n# size=many\n  dir=vae\n"
        "#https://h/c.pt\n#  dir=vae\n#  size=3\n"
    )
    parsed = parse(text.encode(), "x")
    assert not parsed.problems
    assert [entry.size for entry in parsed.entries] == [12, None]


def test_all_problems_are_reported_together_in_order() -> None:
    text = "  dir=x\nhttps://u:p@h/a.pt\n  dir=vae\nftp://h/b.pt\n  dir=vae\n  out=../b.pt\n  on-x=y\n"
    assert [line for line, _ in problems(text)] == [1, 2, 4, 6, 7]
