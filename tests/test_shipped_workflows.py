"""The workflows of `workflows/`: both forms say the same, are laid out well, and run on the demo model."""

from __future__ import annotations

from itertools import combinations
from types import ModuleType

import numpy as np
import pytest
from PIL import Image
from torch import Tensor

import comfykit
import demo_stand_ins
from comfykit.nodes.builtin import builtin_registry
from comfykit.services.workflows import interfaces_of
from comfykit.workflow.convert import convert
from comfykit.workflow.read import read_workflow
from shipped_workflows import FORMS, INPUT, PICTURES, WORKFLOWS, load_tool, read_json

STEPS = 2


@pytest.fixture(scope="module")
def forms() -> ModuleType:
    return load_tool("workflow_forms")


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> comfykit.Engine:
    home = tmp_path_factory.mktemp("demo")
    demo_stand_ins.write_missing(home)
    return comfykit.Engine(home=home, input_dir=INPUT, device="cpu", precision="fp32")


def quick(workflow: comfykit.Workflow) -> comfykit.Workflow:
    samplers = [key for key, node in workflow.prompt.items() if node["class_type"] == "KSampler"]
    return workflow.set({f"{key}.steps": STEPS for key in samplers})


def test_every_workflow_is_there_in_both_forms() -> None:
    assert {path.name for path in WORKFLOWS.glob("*.json")} == {*FORMS, "groups.json"}


@pytest.mark.parametrize("name", PICTURES)
def test_both_forms_say_the_same(name: str) -> None:
    converted = convert(read_json(f"{name}.json"), interfaces_of(builtin_registry()), name)
    assert not converted.problems
    assert not converted.warnings
    assert converted.prompt == read_json(f"{name}.api.json")


@pytest.mark.parametrize("name", PICTURES)
def test_the_ui_form_is_that_of_the_tool(forms: ModuleType, name: str) -> None:
    """Fails after an API form was changed: run tools/workflow_forms.py."""
    path = WORKFLOWS / f"{name}.api.json"
    written = path.with_name(f"{name}.json").read_text(encoding="utf-8")
    assert forms.ui_text(path, builtin_registry()) == written


@pytest.mark.parametrize("name", FORMS)
def test_it_runs(engine: comfykit.Engine, name: str) -> None:
    workflow = comfykit.Workflow(read_workflow(WORKFLOWS / name, lambda: interfaces_of(builtin_registry())))
    assert engine.check(workflow) == ()
    result = engine.run(quick(workflow))
    made = result.images()
    assert [picture.size for picture in made] == PICTURES[name.partition(".")[0]]
    low, high = made[-1].convert("L").getextrema()
    assert low < high, "a picture of one colour"
    assert all(path.is_file() for path in result.files)


def test_inpainting_changes_nothing_outside_the_hole(engine: comfykit.Engine) -> None:
    (made,) = engine.run(quick(comfykit.Workflow.load(WORKFLOWS / "inpainting.api.json"))).images()
    with Image.open(INPUT / "inpainting.png") as opened:
        given = np.asarray(opened)
    hole = given[..., 3] == 0
    changed = (np.asarray(made) != given[..., :3]).any(-1)
    assert changed[hole].any()
    assert not changed[~hole].any()


def test_before_and_after_differ(engine: comfykit.Engine) -> None:
    (tensor,) = engine.run(quick(comfykit.Workflow.load(WORKFLOWS / "post-processing.api.json"))).tensors()
    before, after = tensor[:, :, :128], tensor[:, :, 136:]
    assert colourfulness(after) > colourfulness(before)


def colourfulness(image: Tensor) -> float:
    return float((image.amax(-1) - image.amin(-1)).mean())


# The layout of the UI form


@pytest.mark.parametrize("name", PICTURES)
def test_nodes_do_not_overlap(name: str) -> None:
    boxes = [box(node["pos"], node["size"], above=30) for node in read_json(f"{name}.json")["nodes"]]
    for one, other in combinations(boxes, 2):
        assert apart(one, other)


@pytest.mark.parametrize("name", PICTURES)
def test_frames_hold_their_nodes_and_no_others(name: str) -> None:
    form, groups = read_json(f"{name}.json"), read_json("groups.json").get(name, {})
    assert [frame["title"] for frame in form["groups"]] == list(groups)
    for frame in form["groups"]:
        outer = box(frame["bounding"][:2], frame["bounding"][2:])
        for node in form["nodes"]:
            inner = box(node["pos"], node["size"], above=30)
            if str(node["id"]) in groups[frame["title"]]:
                assert outer[0] < inner[0]
                assert outer[1] < inner[1]
                assert inner[2] < outer[2]
                assert inner[3] < outer[3]
            else:
                assert apart(outer, inner)


@pytest.mark.parametrize("name", PICTURES)
def test_links_lead_to_the_right_between_sockets_of_their_type(name: str) -> None:
    form = read_json(f"{name}.json")
    nodes = {node["id"]: node for node in form["nodes"]}
    for link, origin, slot, target, place, kind in form["links"]:
        left, right = nodes[origin], nodes[target]
        output, given = left["outputs"][slot], right["inputs"][place]
        assert output["type"] == given["type"] == kind
        assert link in output["links"]
        assert given["link"] == link
        assert left["pos"][0] + left["size"][0] < right["pos"][0]
        assert left["order"] < right["order"]
    assert form["last_node_id"] == max(nodes)
    assert form["last_link_id"] == max(link[0] for link in form["links"])


def test_groups_are_of_workflows_and_nodes_that_are_there() -> None:
    for name, groups in read_json("groups.json").items():
        listed = [key for keys in groups.values() for key in keys]
        assert len(listed) == len(set(listed))
        assert set(listed) <= set(read_json(f"{name}.api.json"))


def test_a_field_that_is_linked_becomes_a_socket(forms: ModuleType) -> None:
    registry = builtin_registry()
    prompt = {
        "4": {
            "class_type": "EmptyLatentImage",
            "inputs": {"width": 64, "height": ["2", 0], "batch_size": 1},
            "_meta": {"title": "Empty Latent Image"},
        },
        "2": {"class_type": "PrimitiveInt", "inputs": {"value": 96}, "_meta": {"title": "Height"}},
    }
    form = forms.ui_form(prompt, registry, {})
    (latent,) = (node for node in form["nodes"] if node["id"] == 4)
    assert [slot["widget"] for slot in latent["inputs"]] == [{"name": "height"}]
    assert convert(form, interfaces_of(registry), "linked").prompt == prompt


def box(place: list[int], size: list[int], above: int = 0) -> tuple[int, int, int, int]:
    return place[0], place[1] - above, place[0] + size[0], place[1] + size[1]


def apart(one: tuple[int, ...], other: tuple[int, ...]) -> bool:
    return one[2] < other[0] or other[2] < one[0] or one[3] < other[1] or other[3] < one[1]


# The pictures that they load


def test_inputs_are_those_of_the_script() -> None:
    """Fails after the script was changed: run tools/workflow_inputs.py."""
    drawn = load_tool("workflow_inputs").pictures()
    assert {path.name for path in INPUT.iterdir()} == set(drawn)
    for name, picture in drawn.items():
        with Image.open(INPUT / name) as written:
            assert written.mode == picture.mode
            assert written.tobytes() == picture.tobytes()
        assert (INPUT / name).stat().st_size < 10_000
