from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

import pytest
from compat_packs import PackHome

from comfykit.errors import InvalidWorkflow, NodeFailed
from comfykit.events import NodeBlocked, NodeEnded


def define(home: PackHome, body: str, *names: str, before: str = "") -> None:
    """A pack with classes written out in `body`, all of the names given, beside some that all tests need."""
    helpers = """
class Give:
    '''Gives what it is told, as it is.'''
    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"value": ("*", {})}}
    RETURN_TYPES = ("*",)
    FUNCTION = "give"
    def give(self, value):
        return (value,)
class Keep:
    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"value": ("*", {})}}
    RETURN_TYPES = ()
    FUNCTION = "keep"
    OUTPUT_NODE = True
    def keep(self, value):
        return {"ui": {"text": [repr(value)]}}
"""
    mapping = ", ".join(f'"{name}": {name}' for name in (*names, "Give", "Keep"))
    source = "\n".join([before, helpers, textwrap.dedent(body), f"NODE_CLASS_MAPPINGS = {{{mapping}}}"])
    home.pack("Pack", source)


def kept(inputs: dict[str, Any], kind: str, slot: int = 0, **others: Any) -> dict[str, Any]:
    """A workflow: node 1 of a class, whose output node `out` keeps."""
    return {
        "1": {"class_type": kind, "inputs": inputs},
        "out": {"class_type": "Keep", "inputs": {"value": ["1", slot]}},
        **others,
    }


def give(value: Any) -> dict[str, Any]:
    return {"class_type": "Give", "inputs": {"value": value}}


def test_a_class_becomes_a_node_class(home: PackHome) -> None:
    define(
        home,
        """
        class Full:
            '''Not the description.'''
            @classmethod
            def INPUT_TYPES(cls):
                return {
                    "required": {
                        "image": ("IMAGE",),
                        "count": ("INT", {"default": 2, "min": 1, "max": 8, "step": 1, "tooltip": "many"}),
                        "mode": (["a", "b"], {"default": "b"}),
                        "keys": ({"x": 1, "y": 2}.keys(),),
                        "newer": ("COMBO", {"options": ["p", "q"]}),
                    },
                    "optional": {"mask": ("MASK", {"lazy": True}), "text": ("STRING", {"multiline": True})},
                    "hidden": {"id": "UNIQUE_ID", "png": ("EXTRA_PNGINFO",), "own": "OWN_TYPE"},
                }
            RETURN_TYPES = ("IMAGE", ["a", "b"])
            RETURN_NAMES = ("picture",)
            OUTPUT_TOOLTIPS = ("what came out",)
            OUTPUT_IS_LIST = (True,)
            FUNCTION = "run"
            CATEGORY = "test/full"
            DESCRIPTION = '''
            Does it.
            '''
            DEPRECATED = True
            EXPERIMENTAL = True
            OUTPUT_NODE = True
            INPUT_IS_LIST = True
            NOT_IDEMPOTENT = True
            async def run(self, **kwargs): ...
        """,
        "Full",
    )
    (pack,) = home.load().packs
    entry = next(entry for entry in pack.classes if entry.name == "Full")
    assert list(entry.inputs) == ["image", "count", "mode", "keys", "newer", "mask", "text", "own"]
    count = entry.inputs["count"]
    assert (count.type, count.default, count.minimum, count.maximum, count.step) == ("INT", 2, 1, 8, 1)
    assert count.options == {"tooltip": "many"}
    assert [entry.inputs[name].choices for name in ("mode", "keys", "newer")] == [
        ("a", "b"),
        ("x", "y"),
        ("p", "q"),
    ]
    assert (entry.inputs["image"].socket_only, entry.inputs["mask"].lazy) == (True, True)
    assert {"id": "UNIQUE_ID", "png": "EXTRA_PNGINFO"}.items() <= entry.hidden.items()
    assert [(slot.type, slot.name, slot.is_list, slot.tooltip) for slot in entry.outputs] == [
        ("IMAGE", "picture", True, "what came out"),
        ("COMBO", "COMBO", False, ""),
    ]
    assert (entry.category, entry.description) == ("test/full", "Does it.")
    assert entry.deprecated
    assert entry.experimental
    assert entry.output_node
    assert entry.input_is_list
    assert entry.not_idempotent
    assert entry.asynchronous


ANY = """
class AnyType(str):
    def __eq__(self, other):
        return True
    def __ne__(self, other):
        return False
class Several(str):
    def __ne__(self, other):
        return not set(self.split(",")) & set(str(other).split(","))
any_type = AnyType("*")
"""


def test_types_that_differ_from_nothing_and_from_some(home: PackHome) -> None:
    define(
        home,
        """
        class Any:
            @classmethod
            def INPUT_TYPES(cls):
                some = (Several("INT,FLOAT"), {"forceInput": True})
                return {"required": {"value": (any_type, {}), "some": some}}
            RETURN_TYPES = (any_type, "INT", "MODEL")
            FUNCTION = "run"
            def run(self, value, some):
                return (value, some, None)
        """,
        "Any",
        before=ANY,
    )
    prompt = kept({"value": ["2", 0], "some": ["3", 1]}, "Any")
    inner = {"class_type": "Any", "inputs": {"value": "constant", "some": 7}}
    assert home.values(prompt | {"2": give("x"), "3": inner}, "1") == ["x"]
    wrong = kept({"value": 1, "some": ["3", 2]}, "Any") | {"3": inner}
    result = home.run(wrong)
    assert [problem.type for problem in result.problems] == ["return_type_mismatch"]


def test_a_tuple_that_answers_every_index(home: PackHome) -> None:
    define(
        home,
        """
        class Wide:
            @classmethod
            def INPUT_TYPES(cls):
                return {"required": {}}
            RETURN_TYPES = Endless(("INT",))
            FUNCTION = "run"
            def run(self):
                return (0, 10, 20)
        """,
        "Wide",
        before="""
class Endless(tuple):
    def __getitem__(self, index):
        return super().__getitem__(min(index, 0))
""",
    )
    assert home.values(kept({}, "Wide", 2), "1", 2) == [20]


def test_an_optional_that_claims_to_contain_everything(home: PackHome) -> None:
    define(
        home,
        """
        class Flexible:
            @classmethod
            def INPUT_TYPES(cls):
                return {"required": {}, "optional": Everything()}
            RETURN_TYPES = ("*",)
            FUNCTION = "run"
            def run(self, **kwargs):
                return (sorted(kwargs.items()),)
        """,
        "Flexible",
        before="""
class Everything(dict):
    def __contains__(self, key):
        return True
    def __getitem__(self, key):
        return ("*",)
""",
    )
    inputs = {"lora_1": {"on": True}, "linked": ["2", 0]}
    assert home.values(kept(inputs, "Flexible") | {"2": give(5)}, "1") == [
        [("linked", 5), ("lora_1", {"on": True})]
    ]


@pytest.mark.parametrize(("parameters", "given"), [("a, **kwargs", ["a", "b"]), ("a, c=1", ["a"])])
def test_inputs_that_are_not_listed_come_where_they_are_links_and_taken(
    home: PackHome, parameters: str, given: list[str]
) -> None:
    define(
        home,
        f"""
        class Grows:
            @classmethod
            def INPUT_TYPES(cls):
                return {{"required": {{"a": ("INT", {{}})}}}}
            RETURN_TYPES = ("*",)
            FUNCTION = "run"
            def run(self, {parameters}):
                kwargs = locals().get("kwargs", {{}})
                return (["a", *kwargs],)
        """,
        "Grows",
    )
    inputs = {"a": 1, "b": ["2", 0], "stale": "left by a front end"}
    assert home.values(kept(inputs, "Grows") | {"2": give(5)}, "1") == [given]


def test_hidden_inputs(home: PackHome) -> None:
    define(
        home,
        """
        class Hidden:
            @classmethod
            def INPUT_TYPES(cls):
                hidden = {"p": "PROMPT", "i": "UNIQUE_ID", "x": "EXTRA_PNGINFO"}
                hidden |= {"d": "DYNPROMPT", "own": "OWN"}
                return {"required": {}, "hidden": hidden}
            RETURN_TYPES = ("*",)
            FUNCTION = "run"
            def run(self, p, i, x, d, own=None):
                return ((sorted(p), i, x, d.get_node(i)["class_type"], d.get_display_node_id(i), own),)
        """,
        "Hidden",
    )
    assert home.values(kept({"own": 3}, "Hidden"), "1") == [(["1", "out"], "1", {}, "Hidden", "1", 3)]


def test_lists_in_and_out(home: PackHome) -> None:
    define(
        home,
        """
        class Spread:
            @classmethod
            def INPUT_TYPES(cls):
                return {"required": {"count": ("INT", {})}}
            RETURN_TYPES = ("INT",)
            OUTPUT_IS_LIST = (True,)
            FUNCTION = "run"
            def run(self, count):
                return (list(range(count)),)
        class Gather:
            INPUT_IS_LIST = True
            @classmethod
            def INPUT_TYPES(cls):
                return {"required": {"number": ("INT", {})}, "hidden": {"id": "UNIQUE_ID"}}
            RETURN_TYPES = ("*",)
            FUNCTION = "run"
            def run(self, number, id):
                return ((number, id),)
        """,
        "Spread",
        "Gather",
    )
    prompt = kept({"number": ["2", 0]}, "Gather", **{"2": {"class_type": "Spread", "inputs": {"count": 3}}})
    assert home.values(prompt, "1") == [([0, 1, 2], ["1"])]


LAZY = """
class Choose:
    @classmethod
    def INPUT_TYPES(cls):
        lazy = ("*", {"lazy": True})
        return {"required": {"first": ("BOOLEAN", {}), "a": lazy, "b": lazy}}
    RETURN_TYPES = ("*",)
    FUNCTION = "run"
    def check_lazy_status(self, first, a=None, b=None):
        return ["a"] if first else ["b"]
    def run(self, first, a=None, b=None):
        return ((a, b),)
"""


def test_lazy_inputs_run_only_where_they_are_asked_for(home: PackHome) -> None:
    define(home, LAZY, "Choose")
    prompt = kept({"first": False, "a": ["2", 0], "b": ["3", 0]}, "Choose")
    assert home.values(prompt | {"2": give(1), "3": give(2)}, "1") == [(None, 2)]
    ran = {event.node for event in home.events if isinstance(event, NodeEnded)}
    assert ran == {"1", "3", "out"}


def test_state_is_kept_for_each_node_and_a_changed_fingerprint_runs_it_again(home: PackHome) -> None:
    define(
        home,
        """
        class Counts:
            def __init__(self):
                self.runs = 0
            @classmethod
            def INPUT_TYPES(cls):
                return {"required": {"again": ("STRING", {})}, "hidden": {"id": "UNIQUE_ID"}}
            @classmethod
            def IS_CHANGED(cls, again, id):
                return float("nan") if again == "always" else again.encode()
            RETURN_TYPES = ("INT",)
            FUNCTION = "run"
            def run(self, again, id):
                self.runs += 1
                return (self.runs,)
        """,
        "Counts",
    )
    runner = home.runner()

    def run(again: str) -> list[Any]:
        prompt = kept(
            {"again": again}, "Counts", **{"2": {"class_type": "Counts", "inputs": {"again": again}}}
        )
        prompt["out2"] = {"class_type": "Keep", "inputs": {"value": ["2", 0]}}
        assert home.run(prompt, runner).succeeded
        return [*runner.values_of("1", 0), *runner.values_of("2", 0)]

    assert [run("x"), run("x"), run("always"), run("always")] == [[1, 1], [1, 1], [2, 2], [3, 3]]


def test_a_check_of_its_own_sees_values_and_exempts_them(home: PackHome) -> None:
    define(
        home,
        """
        class Checks:
            @classmethod
            def INPUT_TYPES(cls):
                number = ("INT", {"max": 3})
                return {"required": {"mode": (["a", "b"],), "number": number, "other": ("IMAGE",)}}
            @classmethod
            def VALIDATE_INPUTS(cls, mode, number, input_types):
                good = number < 100 and input_types == {"other": "*"}
                return True if good else f"{number} of {input_types}"
            RETURN_TYPES = ("STRING",)
            FUNCTION = "run"
            def run(self, mode, number, other):
                return (mode,)
        """,
        "Checks",
    )
    good = kept({"mode": "unlisted", "number": 50, "other": ["2", 0]}, "Checks") | {"2": give(1)}
    assert home.values(good, "1") == ["unlisted"]
    bad = kept({"mode": "a", "number": 100, "other": ["2", 0]}, "Checks") | {"2": give(1)}
    (problem,) = home.run(bad).problems
    assert problem.message == "the node refuses its inputs: 100 of {'other': '*'}"


def test_several_of_a_choice(home: PackHome) -> None:
    define(
        home,
        """
        class Many:
            @classmethod
            def INPUT_TYPES(cls):
                return {"required": {"tags": (["a", "b", "c"], {"multi_select": True})}}
            RETURN_TYPES = ("*",)
            FUNCTION = "run"
            def run(self, tags):
                return (tags,)
        """,
        "Many",
    )
    assert home.values(kept({"tags": ["a", "c", "b"]}, "Many"), "1") == [["a", "c", "b"]]
    assert [problem.type for problem in home.run(kept({"tags": ["a", "z", "b"]}, "Many")).problems] == [
        "value_not_in_list"
    ]


def test_asynchronous_functions(home: PackHome) -> None:
    define(
        home,
        """
        import asyncio
        class Waits:
            @classmethod
            def INPUT_TYPES(cls):
                return {"required": {"value": ("*", {})}}
            RETURN_TYPES = ("*",)
            FUNCTION = "run"
            async def run(self, value):
                await asyncio.sleep(0)
                return (value + 1,)
        """,
        "Waits",
    )
    assert home.values(kept({"value": 1}, "Waits"), "1") == [2]


def test_blockers_and_expansion(home: PackHome) -> None:
    define(
        home,
        """
        from comfy_execution.graph import ExecutionBlocker
        from comfy_execution.graph_utils import GraphBuilder
        class Block:
            @classmethod
            def INPUT_TYPES(cls):
                return {"required": {}}
            RETURN_TYPES = ("*", "*")
            FUNCTION = "run"
            def run(self):
                return (1, ExecutionBlocker("not this way"))
        class Expand:
            @classmethod
            def INPUT_TYPES(cls):
                return {"required": {"value": ("*", {})}}
            RETURN_TYPES = ("*",)
            FUNCTION = "run"
            def run(self, value):
                graph = GraphBuilder()
                inner = graph.node("Give", value=value * 2)
                return {"result": (inner.out(0),), "expand": graph.finalize()}
        """,
        "Block",
        "Expand",
    )
    assert home.values(kept({"value": 4}, "Expand"), "1") == [8]
    prompt = kept({}, "Block", 1)
    result = home.run(prompt)
    assert result.outputs == {}
    assert [event.message for event in home.events if isinstance(event, NodeBlocked)] == ["not this way"]


@pytest.mark.parametrize(
    ("returned", "values"), [("[1, 2]", [1]), ("torch.tensor([7, 8])", [7]), ("None", [None])]
)
def test_whatever_can_be_indexed_is_a_result(home: PackHome, returned: str, values: list[Any]) -> None:
    define(
        home,
        f"""
        import torch
        class Odd:
            @classmethod
            def INPUT_TYPES(cls):
                return {{"required": {{}}}}
            RETURN_TYPES = ("*",)
            FUNCTION = "run"
            def run(self):
                return {returned}
        """,
        "Odd",
    )
    assert home.values(kept({}, "Odd"), "1") == values


def test_what_a_node_prints_is_no_data(home: PackHome, capsys: pytest.CaptureFixture[str]) -> None:
    define(
        home,
        """
        class Talks:
            @classmethod
            def INPUT_TYPES(cls):
                return {"required": {}}
            RETURN_TYPES = ("*",)
            FUNCTION = "run"
            def run(self):
                print("from the node")
                return (1,)
        """,
        "Talks",
    )
    home.values(kept({}, "Talks"), "1")
    assert capsys.readouterr() == ("", "from the node\n")


def test_a_missing_part_of_comfyui_is_named_where_a_node_fails(home: PackHome) -> None:
    define(
        home,
        """
        import comfy.utils
        class Uses:
            @classmethod
            def INPUT_TYPES(cls):
                return {"required": {}}
            RETURN_TYPES = ("*",)
            FUNCTION = "run"
            def run(self):
                return (comfy.utils.gone(),)
        """,
        "Uses",
    )
    with pytest.raises(NodeFailed, match=r"comfykit's 'comfy.utils' has no 'gone', which Pack uses"):
        home.values(kept({}, "Uses"), "1")


def test_choices_may_change_between_runs(home: PackHome) -> None:
    define(
        home,
        """
        import folder_paths, os
        class Files:
            @classmethod
            def INPUT_TYPES(cls):
                return {"required": {"file": (sorted(os.listdir(folder_paths.get_input_directory())),)}}
            RETURN_TYPES = ("*",)
            FUNCTION = "run"
            def run(self, file):
                return (file,)
        """,
        "Files",
    )
    place = Path(home.settings.input_dir)
    place.mkdir()
    runner = home.runner()
    assert isinstance(home.run(kept({"file": "new.txt"}, "Files"), runner).error, InvalidWorkflow)
    (place / "new.txt").touch()
    assert home.run(kept({"file": "new.txt"}, "Files"), runner).succeeded


def test_built_in_classes_can_be_subclassed(home: PackHome) -> None:
    define(
        home,
        """
        import nodes
        class Mine(nodes.EmptyImage):
            @classmethod
            def INPUT_TYPES(cls):
                found = super().INPUT_TYPES()
                found["required"] = {"width": found["required"]["width"]}
                return found
            FUNCTION = "mine"
            def mine(self, width):
                return nodes.EmptyImage().generate(width, 8, 1, 0)
        """,
        "Mine",
    )
    (image,) = home.values(kept({"width": 16}, "Mine"), "1")
    assert image.shape == (1, 8, 16, 3)


def test_a_class_that_is_only_there_to_be_read_is_registered_and_cannot_run(home: PackHome) -> None:
    define(
        home,
        """
        class Notes:
            @classmethod
            def INPUT_TYPES(cls):
                return {"required": {}}
            RETURN_TYPES = ("INT",)
        """,
        "Notes",
    )
    (pack,) = home.load().packs
    assert (pack.classes[0].name, dict(pack.problems)) == ("Notes", {})
    with pytest.raises(NodeFailed, match="Notes names no FUNCTION"):
        home.values(kept({}, "Notes"), "1")


def test_objects_in_an_expanded_graph_are_the_engines_for_built_in_nodes(home: PackHome) -> None:
    """A pack's CLIP that is a constant there, and no link, goes over the border like any result."""
    define(
        home,
        """
        class Write:
            @classmethod
            def INPUT_TYPES(cls):
                return {"required": {"clip": ("CLIP",), "text": ("STRING", {})}}
            RETURN_TYPES = ("CONDITIONING",)
            FUNCTION = "write"
            def write(self, clip, text):
                inputs = {"clip": clip, "text": text}
                return {
                    "result": (["w", 0],),
                    "expand": {"w": {"class_type": "CLIPTextEncode", "inputs": inputs}},
                }
        """,
        "Write",
    )
    prompt = {
        "c": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "demo.safetensors"}},
        "direct": {"class_type": "CLIPTextEncode", "inputs": {"clip": ["c", 1], "text": "a circle"}},
        "also": {"class_type": "Keep", "inputs": {"value": ["direct", 0]}},
        **kept({"clip": ["c", 1], "text": "a circle"}, "Write"),
    }
    runner = home.runner()
    result = home.run(prompt, runner)
    assert result.succeeded, (result.error, result.problems)
    ((expanded, _),), ((direct, _),) = runner.values_of("1", 0)[0], runner.values_of("direct", 0)[0]
    assert expanded.equal(direct)
