from __future__ import annotations

import dataclasses
import inspect
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from comfykit.compat import builtin_classes, crossing, running
from comfykit.compat.host import folder_paths, nodes
from comfykit.compat.upstream_names import CORE, FUNCTIONS, ORDERS
from comfykit.compat.v1 import CONTEXT, node_class_v1
from comfykit.errors import Interrupted
from comfykit.events import Event
from comfykit.home import open_home
from comfykit.settings import Settings


def test_every_class_is_there_under_its_name() -> None:
    assert set(nodes.NODE_CLASS_MAPPINGS) >= CORE
    assert all(getattr(nodes, name) is nodes.NODE_CLASS_MAPPINGS[name] for name in CORE)
    assert set(FUNCTIONS) <= set(nodes.NODE_CLASS_MAPPINGS)
    assert nodes.NODE_DISPLAY_NAME_MAPPINGS["KSampler"] == "KSampler"


def test_orders_name_inputs_that_there_are() -> None:
    for name, order in ORDERS.items():
        assert set(order) == set(nodes.NODE_CLASS_MAPPINGS[name].INPUT_TYPES()["required"]), name


def test_a_class_describes_itself(settings: Settings) -> None:
    (settings.home.models / "loras").mkdir()
    (settings.home.models / "loras/a.safetensors").write_bytes(b"")
    kind = nodes.LoraLoader
    required = kind.INPUT_TYPES()["required"]
    assert list(required) == ["model", "clip", "lora_name", "strength_model", "strength_clip"]
    assert required["model"] == ("MODEL",)
    assert required["lora_name"] == (["a.safetensors"],)
    assert required["strength_model"] == (
        "FLOAT",
        {"default": 1.0, "min": -100.0, "max": 100.0, "step": 0.01},
    )
    assert (kind.RETURN_TYPES, kind.FUNCTION, kind.CATEGORY) == (("MODEL", "CLIP"), "load_lora", "loaders")
    assert nodes.SaveImage.INPUT_TYPES()["hidden"] == {"prompt": "PROMPT", "extra_pnginfo": "EXTRA_PNGINFO"}
    assert nodes.SaveImage.OUTPUT_NODE


def test_choices_have_what_packs_added(settings: Settings) -> None:
    further = settings.home.root / "further"
    further.mkdir()
    (further / "b.safetensors").write_bytes(b"")
    folder_paths.add_model_folder_path("checkpoints", str(further))
    assert "b.safetensors" in nodes.CheckpointLoaderSimple.INPUT_TYPES()["required"]["ckpt_name"][0]


def test_functions_take_inputs_in_comfyuis_order() -> None:
    assert list(inspect.signature(nodes.VAEDecode.decode).parameters)[:3] == ["self", "vae", "samples"]
    latent = nodes.EmptyLatentImage().generate(64, 32)[0]
    assert latent["samples"].shape == (1, 4, 4, 8)
    image = nodes.EmptyImage().generate(4, 4, color=0xFF0000)[0]
    assert nodes.ImageScale().upscale(image, "nearest-exact", 8, 6, "disabled")[0].shape == (1, 6, 8, 3)
    assert nodes.ImageScale.upscale_methods[0] == "nearest-exact"
    assert nodes.LatentUpscale.crop_methods == ["disabled", "center"]
    with pytest.raises(TypeError, match="needs upscale_method, crop"):
        nodes.ImageScale().upscale(image, width=2, height=2)
    with pytest.raises(TypeError, match="takes 1 inputs, 2 were given"):
        nodes.ImageInvert().invert(image, image)


def test_a_checkpoint_samples(settings: Settings) -> None:
    running.use_settings(dataclasses.replace(settings, home=open_home(settings.home.root)))
    model, clip, vae = nodes.CheckpointLoaderSimple().load_checkpoint("demo.safetensors")
    prompt = nodes.CLIPTextEncode().encode(clip, "a cat")[0]
    latent = nodes.EmptyLatentImage().generate(32, 32)[0]
    given: tuple[Any, ...] = (model, 1, 1, 1.0, "euler", "normal", prompt, prompt, latent)
    sampled = nodes.KSampler().sample(*given)[0]
    again = nodes.common_ksampler(*given, start_step=0, last_step=10)[0]
    assert torch.equal(sampled["samples"], again["samples"])
    assert nodes.VAEDecode().decode(vae, sampled)[0].shape == (1, 32, 32, 3)
    unchanged = nodes.common_ksampler(*given, disable_noise=True, start_step=1)[0]
    assert torch.equal(unchanged["samples"], latent["samples"])


def test_pictures_are_saved_where_attributes_say(settings: Settings, events: list[Event]) -> None:
    image = torch.zeros(2, 4, 4, 3)
    saved = nodes.SaveImage().save_images(image, "cat", prompt={"1": {}})
    assert saved["ui"]["images"][1] == {"filename": "cat_00002_.png", "subfolder": "", "type": "output"}
    assert Image.open(settings.output_dir / "cat_00001_.png").text == {"prompt": '{"1": {}}'}  # type: ignore[attr-defined]

    class Mine(nodes.SaveImage):  # type: ignore[name-defined, misc]
        def __init__(self) -> None:
            self.output_dir = folder_paths.get_temp_directory()
            self.type = "temp"
            self.prefix_append = "_mine"
            self.compress_level = 1

    shown = Mine().save_images(image[:1], filename_prefix="dog")["ui"]["images"]
    assert shown == [{"filename": "dog_mine_00001_.png", "subfolder": "", "type": "temp"}]
    assert Path(settings.temp_dir, "dog_mine_00001_.png").is_file()


def test_previews_are_a_kind_of_saved_pictures(settings: Settings, events: list[Event]) -> None:
    preview = nodes.PreviewImage()
    assert isinstance(preview, nodes.SaveImage)
    (shown,) = preview.save_images(torch.zeros(1, 4, 4, 3))["ui"]["images"]
    assert shown["type"] == "temp"
    assert Path(settings.temp_dir, shown["filename"]).is_file()
    assert "filename_prefix" not in nodes.PreviewImage.INPUT_TYPES()["required"]


def test_loaded_pictures_are_checked_and_signed(settings: Settings) -> None:
    Image.new("RGB", (3, 2)).save(settings.input_dir / "a.png")
    assert nodes.LoadImage().load_image("a.png")[0].shape == (1, 2, 3, 3)
    assert nodes.LoadImage.INPUT_TYPES()["required"]["image"] == (["a.png"], {"image_upload": True})
    assert callable(nodes.LoadImage.VALIDATE_INPUTS)
    assert callable(nodes.LoadImage.IS_CHANGED)


def test_values_cross_in_the_shapes_of_either_side(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crossing, "to_engine", lambda value: value.strip("<>"))
    monkeypatch.setattr(crossing, "to_pack", lambda value: f"<{value}>")
    entry = nodes.NODE_CLASS_MAPPINGS["StringTrim"]._entry
    assert builtin_classes.run(entry, {"string": "< x >", "mode": "<Both>"}) == ("<x>",)


def test_packs_may_stop_the_run(events: list[Event]) -> None:
    nodes.before_node_execution()
    nodes.interrupt_processing()
    with pytest.raises(Interrupted):
        nodes.before_node_execution()
    nodes.before_node_execution()
    nodes.interrupt_processing()
    nodes.interrupt_processing(False)
    nodes.before_node_execution()


def test_a_node_that_stops_the_run_is_the_last_one(events: list[Event]) -> None:
    class Stop:
        RETURN_TYPES = ()
        FUNCTION = "stop"

        @classmethod
        def INPUT_TYPES(cls) -> dict[str, Any]:  # noqa: N802
            return {"required": {}}

        def stop(self) -> tuple[()]:
            nodes.interrupt_processing()
            return ()

    with pytest.raises(Interrupted):
        node_class_v1("Stop", Stop).bind().run(**{CONTEXT: running.node()})
