from __future__ import annotations

import asyncio
import enum
import wave
from fractions import Fraction
from typing import Any

import pytest
import torch
from PIL import Image

from comfykit.compat.host.comfy_api import input as inputs
from comfykit.compat.host.comfy_api import input_impl, latest, util, v0_0_2
from comfykit.compat.host.comfy_api.latest import io, ui
from comfykit.events import Event, NodeProgress
from comfykit.settings import Settings


class Method(enum.Enum):
    AREA = "area"
    NEAREST = "nearest"


class Scale(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="Scale",
            display_name="Scale it",
            category="mine",
            inputs=[
                io.Image.Input("image", tooltip="what to scale"),
                io.Int.Input("width", default=64, min=1, max=128, display_mode=io.NumberDisplay.slider),
                io.Combo.Input("method", options=Method, default=Method.AREA),
                io.String.Input("note", multiline=True, optional=True, placeholder="why"),
                io.MultiType.Input(io.Float.Input("factor", default=2.0), types=[io.Int, io.Float]),
                io.Custom("MINE").Input("mine", optional=True, lazy=True),
            ],
            outputs=[io.Image.Output(display_name="scaled"), io.Int.Output("width")],
            hidden=[io.Hidden.unique_id],
            is_output_node=True,
        )

    @classmethod
    def execute(cls, **given: Any) -> io.NodeOutput:  # type: ignore[override]
        return io.NodeOutput(given["width"], cls.hidden.unique_id, ui=ui.PreviewText("done"))


def test_a_schema_reads_as_a_class_of_the_older_form() -> None:
    types = Scale.INPUT_TYPES()
    assert types["required"] == {
        "image": ("IMAGE", {"tooltip": "what to scale"}),
        "width": ("INT", {"default": 64, "min": 1, "max": 128, "display": "slider"}),
        "method": ("COMBO", {"default": "area", "multiselect": False, "options": ["area", "nearest"]}),
        "factor": ("FLOAT,INT", {"default": 2.0, "widgetType": "FLOAT"}),
    }
    assert types["optional"] == {
        "note": ("STRING", {"multiline": True, "placeholder": "why"}),
        "mine": ("MINE", {"lazy": True}),
    }
    assert types["hidden"] == {"unique_id": "UNIQUE_ID", "prompt": "PROMPT", "extra_pnginfo": "EXTRA_PNGINFO"}
    assert Scale.RETURN_TYPES == ("IMAGE", "INT")
    assert Scale.RETURN_NAMES == ("scaled", "INT")
    assert (Scale.CATEGORY, Scale.OUTPUT_NODE, Scale.OUTPUT_IS_LIST) == ("mine", True, (False, False))


def test_a_copy_of_the_class_has_its_hidden_values() -> None:
    copy = Scale.PREPARE_CLASS_CLONE({io.Hidden.unique_id: "7"})
    found = copy.EXECUTE_NORMALIZED(width=3)
    assert found.result == (3, "7")
    assert found.ui.as_dict() == {"text": ("done",)}
    assert Scale.hidden.unique_id is None
    assert Scale.hidden.something_newer is None


def test_what_nodes_return() -> None:
    assert io.NodeOutput.of((1, 2)).result == (1, 2)
    assert io.NodeOutput.of(None).result is None
    found = io.NodeOutput.from_dict({"result": [5], "ui": {"text": ["x"]}, "expand": {}})
    assert (found.result, found.ui, found.expand, found[0]) == ((5,), {"text": ["x"]}, {}, 5)


def test_an_input_and_an_output_may_share_an_id_and_two_inputs_may_not() -> None:
    io.Schema("A", inputs=[io.Int.Input("x")], outputs=[io.Int.Output("x")]).validate()
    with pytest.raises(ValueError, match="two inputs called 'x'"):
        io.Schema("A", inputs=[io.Int.Input("x"), io.Int.Input("x")]).validate()


def test_inputs_that_bring_others() -> None:
    choice = io.DynamicCombo.Input(
        "method", options=[io.DynamicCombo.Option("blur", [io.Int.Input("radius", default=1)])]
    )
    assert choice.get_io_type() == "COMFY_DYNAMICCOMBO_V3"
    assert [one.id for one in choice.get_all()] == ["method", "radius"]
    assert choice.as_dict()["options"][0]["inputs"] == {"required": {"radius": ("INT", {"default": 1})}}
    template = io.Autogrow.TemplatePrefix(io.Image.Input("image"), prefix="image", min=2, max=4)
    row = io.Autogrow.Input("images", template=template)
    assert (template.names, row.template.min) == (["image0", "image1", "image2", "image3"], 2)
    either = io.MatchType.Template("t", [io.Image, io.Mask])
    assert io.MatchType.Output(either, display_name="same").template is either
    assert io.MatchType.Output("out", either).id == "out"
    assert io.MatchType.Input("given", template=either).as_dict()["template"]["allowed_types"] == "IMAGE,MASK"


def test_types_have_names_and_ports_of_their_own() -> None:
    assert io.Vae.Input("vae").get_io_type() == "VAE"
    assert io.Clip.Output().io_type == "CLIP"
    assert io.AnyType.io_type == "*"
    assert io.Custom("A").Input("x").io_type == "A"
    assert io.Custom("B").Input("x").io_type == "B"
    assert issubclass(io.Boolean.Input, io.WidgetInput)


def test_files_for_a_front_end(settings: Settings, events: list[Event]) -> None:
    shown = ui.PreviewImage(torch.ones(1, 4, 6, 3)).as_dict()
    assert shown["animated"] == (False,)
    assert shown["images"][0]["type"] == "temp"
    with Image.open(settings.temp_dir / shown["images"][0]["filename"]) as picture:
        assert picture.size == (6, 4)
    masked = ui.PreviewMask(torch.zeros(1, 4, 4)).as_dict()["images"][0]
    assert (settings.temp_dir / masked["filename"]).is_file()
    audio = {"waveform": torch.zeros(1, 2, 100), "sample_rate": 8000}
    heard = ui.PreviewAudio(audio).as_dict()["audio"][0]
    with wave.open(str(settings.temp_dir / heard.filename)) as file:
        assert (file.getnchannels(), file.getnframes(), file.getframerate()) == (2, 100, 8000)
    saved = ui.ImageSaveHelper.get_save_images_ui(torch.ones(1, 4, 4, 3), "sub/a", cls=Scale).as_dict()
    assert saved == {"images": [{"filename": "a_00001_.png", "subfolder": "sub", "type": "output"}]}


def test_progress_is_told(events: list[Event]) -> None:
    latest.ComfyAPISync.execution.set_progress(1, 4)
    asyncio.run(latest.ComfyAPI.execution.set_progress(2, 4, node_id="9"))
    assert events == [NodeProgress("7", 1, 4), NodeProgress("9", 2, 4)]


def test_older_versions_have_the_same() -> None:
    assert v0_0_2.ComfyExtension is latest.ComfyExtension
    assert v0_0_2.InputImpl.VideoFromComponents is input_impl.VideoFromComponents
    assert inputs.VideoInput is latest.Input.Video


def test_videos_of_pictures() -> None:
    video = input_impl.VideoFromComponents(
        util.VideoComponents(images=torch.zeros(6, 4, 8, 3), frame_rate=Fraction(3))
    )
    assert isinstance(video, inputs.VideoInput)
    assert video.get_dimensions() == (8, 4)
    assert (video.get_duration(), video.get_frame_count()) == (2.0, 6)
    assert util.VideoContainer.as_input() == ["auto", "mp4"]
