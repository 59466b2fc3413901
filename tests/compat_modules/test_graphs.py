from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from PIL import Image

from comfykit.compat import running
from comfykit.compat.host import execution, latent_preview, node_helpers, server
from comfykit.compat.host.comfy.cli_args import args
from comfykit.compat.host.comfy.comfy_types.node_typing import IO, CheckLazyMixin
from comfykit.compat.host.comfy_execution import graph, graph_utils, progress, utils, validation
from comfykit.engine.graph import Node, graph_from_prompt
from comfykit.events import Event, NodeMessage, NodeProgress
from comfykit.settings import Settings

PROMPT = {"1": {"class_type": "A", "inputs": {"x": ["2", 0]}}, "2": {"class_type": "B", "inputs": {"y": 3}}}


def test_graphs_are_built_under_ids_of_their_own() -> None:
    graph_utils.GraphBuilder.set_default_prefix("5", 1)
    built, other = graph_utils.GraphBuilder(), graph_utils.GraphBuilder()
    loader = built.node("Loader", name="a")
    user = built.node("User", "last", model=loader.out(0), spare=loader.out(0), gone=1)
    user.set_input("gone", None)
    user.set_override_display_id("5")
    built.replace_node_output("1", 0, 7)
    assert built.finalize() == {
        "5.1.0.1": {"class_type": "Loader", "inputs": {"name": "a"}},
        "5.1.0.last": {"class_type": "User", "inputs": {"model": 7, "spare": 7}, "override_display_id": "5"},
    }
    assert built.lookup_node("last") is user
    assert other.node("Loader").id == "5.1.1.1"


def test_prefixes_name_the_node_at_work(events: list[Event], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graph_utils.GraphBuilder, "_default_prefix_root", "")
    first, second = graph_utils.GraphBuilder(), graph_utils.GraphBuilder()
    assert first.prefix.startswith("7.")
    assert first.prefix != second.prefix


def test_prefixes_go_before_links_too() -> None:
    nodes, outputs = graph_utils.add_graph_prefix(PROMPT, [["1", 0], 5], "p.")
    assert nodes["p.1"]["inputs"] == {"x": ["p.2", 0]}
    assert outputs == (["p.1", 0], 5)
    assert graph_utils.is_link(["1", 0])
    assert not graph_utils.is_link([1, 0])


def test_the_graph_that_runs() -> None:
    live = graph_from_prompt(PROMPT)
    seen = graph.DynamicPrompt.of(live)
    live.nodes["1.0.0.1"] = Node("1.0.0.1", "C", {}, "", "1", "1")
    assert seen.get_node("1.0.0.1") == {"class_type": "C", "inputs": {}}
    assert seen.all_node_ids() == {"1", "2", "1.0.0.1"}
    assert (seen.get_parent_node_id("1.0.0.1"), seen.get_real_node_id("1.0.0.1")) == ("1", "1")
    assert seen.get_display_node_id("1.0.0.1") == "1"
    assert seen.get_original_prompt() == PROMPT
    assert graph.DynamicPrompt(PROMPT).get_node("2") == PROMPT["2"]
    with pytest.raises(graph.NodeNotFoundError):
        seen.get_node("9")


def test_types_that_overlap_fit() -> None:
    assert not IO.NUMBER != "INT"  # noqa: SIM202
    assert IO.INT != "FLOAT"
    assert not IO.ANY != "MODEL"  # noqa: SIM202
    assert validation.validate_node_input("INT", "INT,FLOAT", strict=True)
    assert not validation.validate_node_input("INT,FLOAT", "INT", strict=True)
    assert validation.validate_node_input("INT,FLOAT", "INT")
    assert CheckLazyMixin().check_lazy_status(a=None, b=1) == ["a"]


def test_what_is_told_to_a_front_end_is_an_event(events: list[Event]) -> None:
    instance = server.PromptServer.instance
    instance.send_sync("mine/changed", {"x": 1})
    instance.send_progress_text("half", "9")
    assert events == [NodeMessage("7", "mine/changed", {"x": 1}), NodeMessage("9", "progress_text", "half")]
    assert instance.last_node_id == "7"
    assert instance.client_id is None


def test_routes_are_kept_without_a_server(settings: Settings) -> None:
    routes = server.Routes()

    @routes.get("/mine")
    async def mine(request: Any) -> str:
        return "x"

    assert routes.added == [("GET", "/mine", mine)]
    instance = server.PromptServer.instance
    instance.add_on_prompt_handler(lambda data: {**data, "seen": True})
    assert instance.trigger_on_prompt({"a": 1}) == {"a": 1, "seen": True}
    assert instance.prompt_queue.get_current_queue() == ([], [])


def test_prompts_are_looked_at() -> None:
    good = {"1": {"class_type": "PreviewImage", "inputs": {}}}
    assert asyncio.run(execution.validate_prompt("", good))[:3] == (True, None, ["1"])
    failed = asyncio.run(execution.validate_prompt("", PROMPT))
    assert failed[1] is not None
    assert failed[1]["type"] == "invalid_prompt"
    assert execution.full_type_name(int) == "int"
    assert execution.full_type_name(Path).endswith(".Path")


def test_progress_by_node(events: list[Event]) -> None:
    progress.get_progress_state().update_progress("3", 0.5)
    assert events == [NodeProgress("3", 50, 100)]
    context = utils.get_executing_context()
    assert context is not None
    assert context.node_id == "7"


def test_conditioning_gets_values() -> None:
    given = [[torch.zeros(1), {"a": [1], "b": 2}]]
    found = node_helpers.conditioning_set_values(given, {"a": [3], "c": 4}, append=True)
    assert found[0][1] == {"a": [1, 3], "b": 2, "c": 4}
    assert given[0][1] == {"a": [1], "b": 2}


def test_cut_off_pictures_are_read_as_far_as_they_go(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    Image.effect_noise((64, 64), 50).save(path)
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(OSError, match="truncated"):
        Image.open(path).load()
    node_helpers.pillow(Image.open(path).load)


def test_options_of_the_command_line(settings: Settings) -> None:
    assert args.base_directory == str(settings.home.root)
    assert args.preview_method.value == "none"
    assert args.cpu
    assert not args.disable_metadata
    with pytest.raises(AttributeError, match="no 'nonsense'"):
        _ = args.nonsense


def test_latents_are_shown_as_settings_ask(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    form = SimpleNamespace(
        taesd_decoder_name=None,
        latent_channels=1,
        latent_rgb_factors=[[2.0, 0.0, -2.0]],
        latent_rgb_factors_bias=[-1.0, -1.0, 1.0],
    )
    assert latent_preview.get_previewer("cpu", form) is None
    monkeypatch.setattr(args, "preview_method", latent_preview.LatentPreviewMethod.Auto, raising=False)
    previewer = latent_preview.get_previewer("cpu", form)
    assert previewer is not None
    kind, picture, _ = previewer.decode_latent_to_preview_image("JPEG", torch.ones(1, 1, 2, 2))
    assert (kind, picture.size, picture.getpixel((0, 0))) == ("JPEG", (2, 2), (255, 0, 0))


def test_samplers_are_followed(events: list[Event]) -> None:
    form = SimpleNamespace(latent_format=SimpleNamespace(), load_device="cpu")
    kept: dict[str, Any] = {}
    callback = latent_preview.prepare_callback(SimpleNamespace(model=form, load_device="cpu"), 2, kept)
    x0 = torch.zeros(1)
    callback(0, x0, x0, 2)
    assert events == [NodeProgress("7", 1, 2)]
    assert kept["x0"] is x0
    assert running.node() is not None
