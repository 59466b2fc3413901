from __future__ import annotations

import textwrap
from typing import Any

from compat_packs import PackHome

from comfykit.events import NodeEnded

HEAD = """
from comfy_api.latest import ComfyExtension, io
class Keep(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(node_id="Keep", inputs=[io.AnyType.Input("value")], outputs=[], is_output_node=True)
    @classmethod
    def execute(cls, value):
        return io.NodeOutput(ui={"text": [repr(value)]})
class Give(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(node_id="Give", inputs=[io.AnyType.Input("value")], outputs=[io.AnyType.Output()])
    @classmethod
    def execute(cls, value):
        return io.NodeOutput(value)
"""


def define(home: PackHome, body: str) -> None:
    classes = ["Mine", "Keep", "Give"]
    end = f"""
class Extension(ComfyExtension):
    async def get_node_list(self):
        return [{", ".join(classes)}]
def comfy_entrypoint():
    return Extension()
"""
    home.pack("New", HEAD + textwrap.dedent(body) + end)


def kept(inputs: dict[str, Any], slot: int = 0, **others: Any) -> dict[str, Any]:
    return {
        "1": {"class_type": "Mine", "inputs": inputs},
        "out": {"class_type": "Keep", "inputs": {"value": ["1", slot]}},
        **others,
    }


def give(value: Any) -> dict[str, Any]:
    return {"class_type": "Give", "inputs": {"value": value}}


def test_a_schema_becomes_a_node_class(home: PackHome) -> None:
    define(
        home,
        """
        class Mine(io.ComfyNode):
            @classmethod
            def define_schema(cls):
                return io.Schema(
                    node_id="Mine", display_name="My node", category="test", description="Does it.",
                    inputs=[
                        io.Image.Input("image", tooltip="a picture"),
                        io.Int.Input("count", default=2, min=1, max=8),
                        io.Combo.Input("mode", options=["a", "b"]),
                        io.Mask.Input("mask", optional=True, lazy=True),
                        io.MultiType.Input("either", [io.Int, io.Float]),
                    ],
                    outputs=[io.Image.Output("out", "picture", "made", is_output_list=True)],
                    is_deprecated=True, is_experimental=True, not_idempotent=True, is_input_list=True,
                )
            @classmethod
            async def execute(cls, **kwargs): ...
        """,
    )
    (pack,) = home.load().packs
    assert (pack.failure, pack.problems) == (None, {})
    entry = next(entry for entry in pack.classes if entry.name == "Mine")
    assert {name: spec.type for name, spec in entry.inputs.items()} == {
        "image": "IMAGE",
        "count": "INT",
        "mode": "COMBO",
        "mask": "MASK",
        "either": "INT,FLOAT",
    }
    assert (entry.inputs["count"].default, entry.inputs["count"].maximum) == (2, 8)
    assert entry.inputs["mode"].choices == ("a", "b")
    assert (entry.inputs["mask"].required, entry.inputs["mask"].lazy) == (False, True)
    assert [(slot.type, slot.name, slot.is_list, slot.tooltip) for slot in entry.outputs] == [
        ("IMAGE", "picture", True, "made")
    ]
    assert (entry.title, entry.category, entry.description) == ("My node", "test", "Does it.")
    assert entry.deprecated
    assert entry.experimental
    assert entry.not_idempotent
    assert entry.input_is_list
    assert entry.asynchronous


def test_hidden_values_belong_to_the_node(home: PackHome) -> None:
    define(
        home,
        """
        class Mine(io.ComfyNode):
            @classmethod
            def define_schema(cls):
                hidden = [io.Hidden.unique_id, io.Hidden.prompt, io.Hidden.dynprompt]
                return io.Schema(node_id="Mine", inputs=[], outputs=[io.AnyType.Output()], hidden=hidden)
            @classmethod
            def execute(cls):
                h = cls.hidden
                there = h.dynprompt.has_node("1")
                return io.NodeOutput((h.unique_id, sorted(h.prompt), h.extra_pnginfo, there))
        """,
    )
    assert home.values(kept({}), "1") == [("1", ["1", "out"], None, True)]


def test_inputs_that_grow_come_as_one_dictionary(home: PackHome) -> None:
    define(
        home,
        """
        class Mine(io.ComfyNode):
            @classmethod
            def define_schema(cls):
                rows = io.Autogrow.TemplatePrefix(io.Int.Input("row"), prefix="row", min=1, max=5)
                names = io.Autogrow.TemplateNames(io.Int.Input("v", optional=True), names=["a", "b"], min=0)
                return io.Schema(
                    node_id="Mine",
                    inputs=[io.Autogrow.Input("rows", rows), io.Autogrow.Input("named", names)],
                    outputs=[io.AnyType.Output()],
                )
            @classmethod
            def execute(cls, rows, named):
                return io.NodeOutput((rows, named))
        """,
    )
    inputs = {"rows.row0": 1, "rows.row1": ["2", 0], "named.b": 3}
    assert home.values(kept(inputs) | {"2": give(2)}, "1") == [({"row0": 1, "row1": 2}, {"b": 3})]
    (problem,) = home.run(kept({"rows.row3": 1})).problems
    assert (problem.type, problem.input) == ("required_input_missing", "rows.row0")


def test_a_choice_brings_its_inputs(home: PackHome) -> None:
    define(
        home,
        """
        class Mine(io.ComfyNode):
            @classmethod
            def define_schema(cls):
                blur = io.DynamicCombo.Option("blur", [io.Float.Input("radius", default=1.0, max=9.0)])
                none = io.DynamicCombo.Option("none", [])
                return io.Schema(
                    node_id="Mine",
                    inputs=[io.DynamicCombo.Input("method", options=[blur, none])],
                    outputs=[io.AnyType.Output()],
                )
            @classmethod
            def execute(cls, method):
                return io.NodeOutput(method)
        """,
    )
    blurred = kept({"method": "blur", "method.radius": 2.5})
    assert home.values(blurred, "1") == [{"method": "blur", "radius": 2.5}]
    assert home.values(kept({"method": "none"}), "1") == [{"method": "none"}]
    too_much = home.run(kept({"method": "blur", "method.radius": 20.0}))
    assert [problem.type for problem in too_much.problems] == ["value_bigger_than_max"]


def test_types_that_must_match(home: PackHome) -> None:
    define(
        home,
        """
        class Mine(io.ComfyNode):
            @classmethod
            def define_schema(cls):
                either = io.MatchType.Template("t", allowed_types=[io.Image, io.Mask])
                return io.Schema(
                    node_id="Mine", inputs=[io.MatchType.Input("x", template=either)],
                    outputs=[io.MatchType.Output(either)],
                )
            @classmethod
            def execute(cls, x):
                return io.NodeOutput(x)
        """,
    )
    (pack,) = home.load().packs
    entry = next(entry for entry in pack.classes if entry.name == "Mine")
    assert (entry.inputs["x"].type, entry.outputs[0].type) == ("IMAGE,MASK", "IMAGE,MASK")


def test_fingerprints_checks_and_lazy_inputs(home: PackHome) -> None:
    define(
        home,
        """
        class Mine(io.ComfyNode):
            @classmethod
            def define_schema(cls):
                return io.Schema(
                    node_id="Mine",
                    inputs=[io.Boolean.Input("first"), io.AnyType.Input("a", lazy=True),
                            io.AnyType.Input("b", lazy=True)],
                    outputs=[io.AnyType.Output()],
                )
            @classmethod
            def validate_inputs(cls, first):
                return True if isinstance(first, bool) else "no boolean"
            @classmethod
            def fingerprint_inputs(cls, **kwargs):
                return float("nan")
            @classmethod
            def check_lazy_status(cls, first, a=None, b=None):
                return ["a"] if first else ["b"]
            @classmethod
            async def execute(cls, first, a=None, b=None):
                return io.NodeOutput((a, b))
        """,
    )
    prompt = kept({"first": True, "a": ["2", 0], "b": ["3", 0]}) | {"2": give(1), "3": give(2)}
    runner = home.runner()
    for _ in range(2):
        assert home.run(prompt, runner).succeeded
        assert runner.values_of("1", 0) == [(1, None)]
    ran = [event.node for event in home.events if isinstance(event, NodeEnded) and not event.cached]
    assert (ran.count("1"), ran.count("2"), ran.count("3")) == (2, 1, 0)


def test_without_a_say_all_lazy_inputs_are_wanted(home: PackHome) -> None:
    define(
        home,
        """
        class Mine(io.ComfyNode):
            @classmethod
            def define_schema(cls):
                return io.Schema(
                    node_id="Mine", inputs=[io.AnyType.Input("a", lazy=True)], outputs=[io.AnyType.Output()]
                )
            @classmethod
            def execute(cls, a):
                return io.NodeOutput(a)
        """,
    )
    assert home.values(kept({"a": ["2", 0]}) | {"2": give(1)}, "1") == [1]


def test_blocks_and_expansion(home: PackHome) -> None:
    define(
        home,
        """
        from comfy_execution.graph_utils import GraphBuilder
        class Mine(io.ComfyNode):
            @classmethod
            def define_schema(cls):
                return io.Schema(
                    node_id="Mine", inputs=[io.Int.Input("n")], outputs=[io.AnyType.Output()],
                    enable_expand=True,
                )
            @classmethod
            def execute(cls, n):
                if n < 0:
                    return io.NodeOutput(block_execution="below zero")
                graph = GraphBuilder()
                return io.NodeOutput(graph.node("Give", value=n * 2).out(0), expand=graph.finalize())
        """,
    )
    assert home.values(kept({"n": 3}), "1") == [6]
    assert home.run(kept({"n": -1})).outputs == {}
