from __future__ import annotations

import codecs
import io
import json
import sys
import time
import zlib
from pathlib import Path
from typing import Any

import pytest
from ui_files import INTERFACES, small
from workflow_files import chunk, png, sample, text

from comfykit.errors import WorkflowError
from comfykit.workflow.interface import Interfaces
from comfykit.workflow.read import Workflow, read_workflow

UI = json.dumps({"nodes": [{"id": 3, "type": "KSampler"}], "links": []})


def written(folder: Path, content: Any, name: str = "flow.json") -> Path:
    path = folder / name
    if not isinstance(content, bytes):
        content = (content if isinstance(content, str) else json.dumps(content)).encode()
    path.write_bytes(content)
    return path


def refused(folder: Path, content: Any, name: str = "flow.json") -> WorkflowError:
    path = written(folder, content, name)
    with pytest.raises(WorkflowError) as caught:
        read_workflow(path)
    assert name in str(caught.value)
    return caught.value


def feed_stdin(monkeypatch: pytest.MonkeyPatch, data: bytes) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))


def test_api_form(tmp_path: Path) -> None:
    read = read_workflow(str(written(tmp_path, sample())))
    assert read == Workflow("flow.json", sample())
    assert list(read.prompt) == ["3", "6", "7"]


@pytest.mark.parametrize(
    ("mark", "encoding"),
    [
        (codecs.BOM_UTF8, "utf-8"),
        (codecs.BOM_UTF16_LE, "utf-16-le"),
        (codecs.BOM_UTF16_BE, "utf-16-be"),
        (codecs.BOM_UTF32_LE, "utf-32-le"),
        (codecs.BOM_UTF32_BE, "utf-32-be"),
    ],
)
def test_byte_order_marks(tmp_path: Path, mark: bytes, encoding: str) -> None:
    prompt = sample()
    prompt["6"]["inputs"]["text"] = "一只狐狸 🦊"
    data = mark + json.dumps(prompt, ensure_ascii=False).encode(encoding)
    assert read_workflow(written(tmp_path, data)).prompt == prompt


def test_what_is_posted_to_the_prompt_route(tmp_path: Path) -> None:
    extra = {"workflow": {"nodes": [], "links": []}}
    body = {"prompt": sample(), "client_id": "x", "extra_data": {"extra_pnginfo": extra}}
    assert read_workflow(written(tmp_path, body)) == Workflow("flow.json", sample(), extra)


def test_a_node_may_be_called_prompt(tmp_path: Path) -> None:
    prompt = {"prompt": sample()["7"]}
    assert read_workflow(written(tmp_path, prompt)).prompt == prompt


def test_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    feed_stdin(monkeypatch, json.dumps(sample()).encode())
    assert read_workflow("-") == Workflow("<stdin>", sample())


def test_a_png_from_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    feed_stdin(monkeypatch, png(text("prompt", json.dumps(sample()))))
    assert read_workflow("-").prompt == sample()


def test_nothing_on_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    feed_stdin(monkeypatch, b"")
    with pytest.raises(WorkflowError, match="<stdin>: empty"):
        read_workflow("-")


def test_is_changed_of_an_earlier_run_is_dropped(tmp_path: Path) -> None:
    saved = sample()
    saved["3"]["is_changed"] = [float("nan")]
    assert read_workflow(written(tmp_path, saved)).prompt == sample()


# Pictures


def test_a_png_with_prompt_and_ui_form(tmp_path: Path) -> None:
    ui = {"nodes": [{"id": 3}], "links": []}
    data = png(text("prompt", json.dumps(sample())), text("workflow", json.dumps(ui)))
    assert read_workflow(written(tmp_path, data, "p.png")) == Workflow("p.png", sample(), {"workflow": ui})


@pytest.mark.parametrize(
    "made",
    [
        lambda said: chunk(b"tEXt", b"prompt\0" + said.encode()),
        lambda said: chunk(b"zTXt", b"prompt\0\0" + zlib.compress(said.encode())),
        lambda said: chunk(b"iTXt", b"prompt\0\0\0\0\0" + said.encode()),
        lambda said: chunk(b"iTXt", b"prompt\0\1\0de\0Vorlage\0" + zlib.compress(said.encode())),
    ],
    ids=["tEXt in UTF-8", "zTXt", "iTXt", "compressed iTXt"],
)
def test_every_kind_of_text_chunk(tmp_path: Path, made: Any) -> None:
    prompt = sample()
    prompt["6"]["inputs"]["text"] = "fuchs – 狐"
    said = json.dumps(prompt, ensure_ascii=False)
    assert read_workflow(written(tmp_path, png(made(said)), "p.png")).prompt == prompt


def test_text_behind_the_pixels(tmp_path: Path) -> None:
    data = png(after=text("prompt", json.dumps(sample())))
    assert read_workflow(written(tmp_path, data, "p.png")).prompt == sample()


def test_a_broken_ui_form_beside_a_prompt_is_left_out(tmp_path: Path) -> None:
    for ui in ('{"nodes": [', '{"nodes": [NaN]}'):
        data = png(text("prompt", json.dumps(sample())), text("workflow", ui))
        assert read_workflow(written(tmp_path, data, "p.png")).extra_pnginfo == {}


def test_pictures_without_a_usable_workflow(tmp_path: Path) -> None:
    prompt = text("prompt", json.dumps(sample()))
    assert "carries no workflow" in str(refused(tmp_path, png(), "p.png"))
    assert "UI form" in str(refused(tmp_path, png(text("workflow", UI)), "p.png"))
    assert "cut off" in str(refused(tmp_path, png(prompt)[:60], "p.png"))
    assert "damaged" in str(refused(tmp_path, png(prompt.replace(b"KSampler", b"XSampler")), "p.png"))
    assert "unpacked" in str(refused(tmp_path, png(chunk(b"zTXt", b"prompt\0\0junk")), "p.png"))
    assert "the JPEG is cut off" in str(refused(tmp_path, b"\xff\xd8\xff\xe0rest", "p.jpg"))
    assert "carries no workflow" in str(refused(tmp_path, b"RIFF\x04\0\0\0WEBP", "p.webp"))


def test_a_text_that_unpacks_to_gigabytes(tmp_path: Path) -> None:
    bomb = zlib.compress(b" " * (65 * 2**20))
    assert "larger than 64 MiB" in str(refused(tmp_path, png(chunk(b"zTXt", b"prompt\0\0" + bomb)), "p.png"))


# Both forms


def test_the_ui_form_is_converted_where_interfaces_are_known(tmp_path: Path) -> None:
    read = read_workflow(written(tmp_path, small()), lambda: INTERFACES)
    assert read.prompt["3"]["inputs"]["model"] == ["4", 0]
    assert read.extra_pnginfo == {"workflow": small()}


def test_interfaces_are_asked_for_once_they_are_needed(tmp_path: Path) -> None:
    def never() -> Interfaces:
        raise AssertionError

    assert read_workflow(written(tmp_path, sample()), never).prompt == sample()


@pytest.mark.parametrize("as_text", [False, True])
def test_a_file_with_both_forms(tmp_path: Path, as_text: bool) -> None:
    parts: dict[str, Any] = {"prompt": sample(), "workflow": small()}
    content = {key: json.dumps(part) if as_text else part for key, part in parts.items()}
    read = read_workflow(written(tmp_path, content))
    assert read == Workflow("flow.json", sample(), {"workflow": small()})


def test_a_file_with_the_ui_form_under_its_key(tmp_path: Path) -> None:
    for content in ({"workflow": small()}, {"workflow": small(), "prompt": {}}, {"prompt": small()}):
        read = read_workflow(written(tmp_path, content), lambda: INTERFACES)
        assert list(read.prompt) == ["3", "4", "9"]


def test_nan_in_a_value_of_the_ui_form(tmp_path: Path) -> None:
    content = json.dumps(small()).replace("25", "NaN")
    with pytest.raises(WorkflowError, match=r"3\.inputs\.steps is NaN"):
        read_workflow(written(tmp_path, content), lambda: INTERFACES)


def test_nan_elsewhere_in_the_ui_form_does_not_travel_along(tmp_path: Path) -> None:
    content = json.dumps({**small(), "extra": {"scale": 1.5}}).replace("1.5", "NaN")
    read = read_workflow(written(tmp_path, content), lambda: INTERFACES)
    assert read.extra_pnginfo == {}


def test_a_ui_form_of_notes(tmp_path: Path) -> None:
    content = {"nodes": [{"id": 1, "type": "Note"}], "links": []}
    with pytest.raises(WorkflowError, match="no nodes that run"):
        read_workflow(written(tmp_path, content), lambda: INTERFACES)


# Refusals


def test_not_json(tmp_path: Path) -> None:
    error = refused(tmp_path, '{"3": {"class_type": "A",\n  "inputs": }}')
    assert "line 2, column 13" in str(error)
    assert error.facts["line"] == 2


@pytest.mark.parametrize("content", ["", "  \n", b"\xef\xbb\xbf"])
def test_empty(tmp_path: Path, content: str | bytes) -> None:
    assert "empty" in str(refused(tmp_path, content))


def test_not_text(tmp_path: Path) -> None:
    assert "byte 1 is not utf-8" in str(refused(tmp_path, b"{\xff\xfe}"))
    assert "utf-16" in str(refused(tmp_path, codecs.BOM_UTF16_LE + b"{\0}\0\x00\xd8"))


def test_too_large(tmp_path: Path) -> None:
    path = tmp_path / "flow.json"
    with path.open("wb") as file:
        file.truncate(2**30)  # a sparse gigabyte
    with pytest.raises(WorkflowError, match="larger than 64 MiB"):
        read_workflow(path)


@pytest.mark.parametrize("bad", ["NaN", "Infinity", "-Infinity", "1e999", "1" + "0" * 400 + ".0"])
def test_numbers_that_are_none(tmp_path: Path, bad: str) -> None:
    error = refused(tmp_path, '{"3": {"class_type": "A", "inputs": {"cfg": [1, %s]}}}' % bad)  # noqa: UP031
    assert "3.inputs.cfg.1 is NaN or Infinity" in str(error)


def test_nan_in_the_extra_data_of_a_body(tmp_path: Path) -> None:
    body = {"prompt": sample(), "extra_data": {"extra_pnginfo": {"workflow": float("inf")}}}
    assert "extra_data" in str(refused(tmp_path, body))


def test_a_number_with_thousands_of_digits(tmp_path: Path) -> None:
    assert "digits" in str(refused(tmp_path, '{"3": ' + "9" * 5000 + "}"))


def test_a_node_id_twice(tmp_path: Path) -> None:
    node = json.dumps(sample()["7"])
    assert "node id '7' stands twice" in str(refused(tmp_path, f'{{"7": {node}, "7": {node}}}'))


def test_an_input_twice(tmp_path: Path) -> None:
    error = refused(tmp_path, '{"7": {"class_type": "A", "inputs": {"text": "a", "text": "b"}}}')
    assert "the name 'text' stands twice" in str(error)


@pytest.mark.parametrize("opening", ["[", '{"a":'])
def test_nested_without_end(tmp_path: Path, opening: str) -> None:
    assert "nested 100000 deep" in str(refused(tmp_path, opening * 100_000))


def test_brackets_in_strings_are_no_nesting(tmp_path: Path) -> None:
    prompt = sample()
    prompt["6"]["inputs"]["text"] = '[{"' * 500 + "\\" + '\\"[' * 500
    assert read_workflow(written(tmp_path, prompt)).prompt == prompt


@pytest.mark.parametrize("half", [r"\ud83e", r"\udd8a", r"\udd8a\ud83e", r"x\\\ud83e"])
def test_half_a_character(tmp_path: Path, half: str) -> None:
    error = refused(tmp_path, '{"6": {"class_type": "A",\n "inputs": {"text": "%s"}}}' % half)  # noqa: UP031
    assert "half a character" in str(error)
    assert "line 2, column" in str(error)


def test_escapes_that_are_whole(tmp_path: Path) -> None:
    content = r'{"6": {"class_type": "A", "inputs": {"text": "\ud83e\udd8a \\ud83e"}}}'
    assert read_workflow(written(tmp_path, content)).prompt["6"]["inputs"]["text"] == "🦊 \\ud83e"


def test_ui_form(tmp_path: Path) -> None:
    error = refused(tmp_path, {"nodes": [{"id": 1, "type": "KSampler"}], "links": [], "version": 0.4})
    assert "UI form" in str(error)
    assert "API form" in str(error)
    assert "Export (API)" in str(error.hint)


def test_every_published_example_in_ui_form_is_recognised(shared: Path) -> None:
    files = sorted((shared / "pairs").glob("*/ui.json"))
    assert files
    for path in files:
        with pytest.raises(WorkflowError, match="UI form"):
            read_workflow(path)
        assert read_workflow(path.with_name("api.json")).prompt


def test_recorded_workflows_and_the_pictures_made_of_them(shared: Path) -> None:
    pictures = sorted((shared / "parity/cases").glob("*/expected/image_*.png"))
    assert pictures
    for picture in pictures:
        prompt = read_workflow(picture.parents[1] / "workflow.json").prompt
        assert read_workflow(picture).prompt == prompt


@pytest.mark.parametrize(
    ("content", "found"), [([], "a list"), ("3", "a number"), ("null", "null"), ("true", "true")]
)
def test_no_object(tmp_path: Path, content: Any, found: str) -> None:
    assert f"found {found}" in str(refused(tmp_path, content))


def test_no_nodes(tmp_path: Path) -> None:
    assert "no nodes" in str(refused(tmp_path, {}))


def test_every_entry_that_is_no_node_is_named(tmp_path: Path) -> None:
    content = {**sample(), "a": 1, "b": {}, "c": {"class_type": 5}, "d": {"class_type": "X", "inputs": []}}
    error = refused(tmp_path, content)
    assert error.facts["problems"] == [
        "'a' is a number, not a node",
        "node 'b' has no class_type",
        "node 'c' has no class_type",
        "the inputs of node 'd' are a list, not an object",
    ]
    assert all(problem in str(error) for problem in error.facts["problems"])


def test_a_message_stays_short(tmp_path: Path) -> None:
    error = refused(tmp_path, {"x" * 1000 + str(number): 1 for number in range(1000)})
    assert "and 980 more" in str(error)
    assert len(str(error)) < 3000
    assert len(error.facts["problems"]) == 1000  # type: ignore[arg-type]


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    written(tmp_path, sample(), "portrait.json")
    with pytest.raises(WorkflowError, match="no workflow file") as caught:
        read_workflow(tmp_path / "potrait.json")
    assert caught.value.hint == "did you mean portrait.json?"
    with pytest.raises(WorkflowError) as caught:
        read_workflow(tmp_path / "nowhere" / "flow.json")
    assert "no folder" in str(caught.value.hint)
    with pytest.raises(WorkflowError, match="is a folder"):
        read_workflow(tmp_path)


def test_a_hundred_thousand_nodes(tmp_path: Path) -> None:
    prompt = {
        str(number): {**sample()["6"], "inputs": {"clip": [str(number - 1), 0]}} for number in range(100_000)
    }
    path = written(tmp_path, prompt)
    begin = time.process_time()
    assert len(read_workflow(path).prompt) == 100_000
    assert time.process_time() - begin < 3  # a quarter of that where nothing else runs
