"""comfykit from Python.

    import comfykit

    result = comfykit.run("workflow.json", seed=7, set={"Positive.text": "a red fox"})
    result.images()[0].show()          # PIL pictures
    result.files                       # where they were written

    engine = comfykit.Engine(home="~/comfykit", precision="fp32")   # keeps models between runs
    workflow = comfykit.Workflow.load("workflow.json")
    for seed in range(4):
        engine.run(workflow.with_seed(seed))

Own nodes are typed functions:

    from comfykit import Image, integer, node

    @node("Posterize", title="Posterize", category="image")
    def posterize(image: Image, levels: Annotated[int, integer(4, 2, 256)] = 4) -> Image:
        \"\"\"Fewer levels of brightness.\"\"\"
        return (image * (levels - 1)).round() / (levels - 1)

    comfykit.run(workflow, nodes=[posterize])
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from torch import Tensor

from comfykit.compat.registry import PackRegistry
from comfykit.engine.define import boolean, combo, integer, node, node_class, number, socket, text
from comfykit.engine.graph import is_link
from comfykit.engine.schema import NodeClass
from comfykit.engine.validate import Problem
from comfykit.errors import UsageError
from comfykit.events import Reporter, silent
from comfykit.nodes.pictures import to_picture
from comfykit.nodes.types import Conditioning, Context, Image, Latent, Mask
from comfykit.services.run import Runner, RunResult
from comfykit.settings import Settings, resolve
from comfykit.workflow import read
from comfykit.workflow.override import override
from comfykit.workflow.read import read_workflow

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

__all__ = [
    "Conditioning",
    "Context",
    "Engine",
    "Image",
    "Latent",
    "Mask",
    "Result",
    "Workflow",
    "boolean",
    "combo",
    "integer",
    "node",
    "number",
    "run",
    "socket",
    "text",
]


@dataclass(frozen=True, slots=True)
class Workflow:
    """A workflow; changing one gives another and leaves it as it is."""

    document: read.Workflow

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """From a file: JSON, or a picture that carries one. Raises `WorkflowError`."""
        return cls(read_workflow(path))

    @classmethod
    def from_prompt(cls, prompt: Mapping[str, Mapping[str, Any]], name: str = "workflow") -> Self:
        """From the API form as a dictionary, `{id: {"class_type": ..., "inputs": {...}}}`."""
        return cls(read.Workflow(name, {key: dict(entry) for key, entry in prompt.items()}))

    @property
    def prompt(self) -> Mapping[str, Mapping[str, Any]]:
        """The API form."""
        return self.document.prompt

    def set(self, values: Mapping[str, object]) -> Self:
        """With other inputs: `{"6.text": "a fox", "KSampler.steps": 30}`, nodes by id or title.

        Raises `UsageError` for a node or an input that is not there.
        """
        assignments = [f"{place}={_as_assigned(value)}" for place, value in values.items()]
        return dataclasses.replace(self, document=override(self.document, assignments))

    def with_seed(self, seed: int) -> Self:
        """With this seed in every `seed` and `noise_seed`."""
        return dataclasses.replace(self, document=override(self.document, (), seed))

    def save(self, path: str | Path) -> None:
        """Write the API form to a file."""
        Path(path).write_text(json.dumps(self.prompt, indent=2) + "\n", encoding="utf-8")


@dataclass(frozen=True, slots=True, eq=False)
class Result:
    """What a run made: files, and the values that output nodes were given."""

    run: RunResult
    inputs: Mapping[str, Mapping[str, Sequence[Any]]]
    settings: Settings

    @property
    def files(self) -> list[Path]:
        """Every file that was written, in the order of writing."""
        places = {"output": self.settings.output_dir, "temp": self.settings.temp_dir}
        return [
            places.get(str(file.get("type")), self.settings.input_dir)
            / str(file.get("subfolder", ""))
            / str(file["filename"])
            for files in self.run.outputs.values()
            for file in files
        ]

    def tensors(self, node: str | None = None) -> list[Tensor]:
        """Tensors that output nodes were given, of one node or of all; IMAGE is [batch, height, width, 3]."""
        chosen = self.inputs if node is None else {node: self.inputs.get(node, {})}
        return [
            value
            for given in chosen.values()
            for values in given.values()
            for value in values
            if isinstance(value, Tensor)
        ]

    def images(self, node: str | None = None) -> list[Picture]:
        """The pictures among `tensors`, one for each of a batch."""
        pictures = [tensor for tensor in self.tensors(node) if tensor.ndim == 4]
        return [to_picture(picture) for batch in pictures for picture in batch]


class Engine:
    """Runs workflows and keeps their models and results for the next.

    Options are those of `comfykit run`; what is not given comes from the environment, `comfykit.toml` and
    defaults. `nodes` are functions with `@node`, or node classes.
    """

    def __init__(
        self,
        *,
        home: str | Path | None = None,
        output_dir: str | Path | None = None,
        input_dir: str | Path | None = None,
        device: str | None = None,
        precision: str | None = None,
        preview_method: str | None = None,
        nodes: Iterable[Callable[..., Any] | NodeClass] = (),
        reporter: Reporter = silent,
    ) -> None:
        self.settings = resolve(
            {
                "home": home,
                "output_dir": output_dir,
                "input_dir": input_dir,
                "device": device,
                "precision": precision,
                "preview_method": preview_method,
            }
        )
        registry = PackRegistry(self.settings, reporter)
        for entry in nodes:
            registry.add(_class_of(entry))
        self._runner = Runner(self.settings, reporter, registry)

    def check(self, workflow: Workflow | str | Path) -> tuple[Problem, ...]:
        """Every problem of a workflow, without loading a model; none when it can run."""
        return self._runner.check(_loaded(workflow).document).problems

    def run(
        self,
        workflow: Workflow | str | Path,
        *,
        set: Mapping[str, object] | None = None,  # noqa: A002  (the name of the command's option)
        seed: int | None = None,
        stopped: Callable[[], bool] = lambda: False,
    ) -> Result:
        """Run a workflow.

        Raises `InvalidWorkflow` with every problem when it cannot run, `NodeFailed` when a node fails and
        `Interrupted` once `stopped()` is true. Outputs that have problems while others are sound are left
        out; `Result.run.problems` names them.
        """
        given = _loaded(workflow)
        if seed is not None:
            given = given.with_seed(seed)
        if set:
            given = given.set(set)
        result = self._runner.run(given.document, stopped)
        if result.error is not None:
            raise result.error
        return Result(result, self._inputs_of_outputs(given, result), self.settings)

    def _inputs_of_outputs(
        self, workflow: Workflow, result: RunResult
    ) -> dict[str, dict[str, Sequence[Any]]]:
        return {
            node: {
                name: self._runner.values_of(value[0], int(value[1]))
                for name, value in workflow.prompt[node]["inputs"].items()
                if is_link(value)
            }
            for node in result.outputs
            if node in workflow.prompt
        }


def run(
    workflow: Workflow | str | Path,
    *,
    set: Mapping[str, object] | None = None,  # noqa: A002
    seed: int | None = None,
    home: str | Path | None = None,
    output_dir: str | Path | None = None,
    input_dir: str | Path | None = None,
    device: str | None = None,
    precision: str | None = None,
    preview_method: str | None = None,
    nodes: Iterable[Callable[..., Any] | NodeClass] = (),
    reporter: Reporter = silent,
) -> Result:
    """Run one workflow; see `Engine`, which keeps models for the next."""
    engine = Engine(
        home=home,
        output_dir=output_dir,
        input_dir=input_dir,
        device=device,
        precision=precision,
        preview_method=preview_method,
        nodes=nodes,
        reporter=reporter,
    )
    return engine.run(workflow, set=set, seed=seed)


def _loaded(workflow: Workflow | str | Path) -> Workflow:
    return workflow if isinstance(workflow, Workflow) else Workflow.load(workflow)


def _class_of(entry: Callable[..., Any] | NodeClass) -> NodeClass:
    found = entry if isinstance(entry, NodeClass) else node_class(entry)
    if found is None:
        raise UsageError(f"{entry!r} is no node", hint="put @comfykit.node(...) on the function")
    return found


def _as_assigned(value: object) -> str:
    """A value as `--set` reads it; JSON in quotes keeps a text a text."""
    try:
        return json.dumps(value)
    except TypeError as error:
        raise UsageError(
            f"{value!r} cannot be the value of an input", hint="use numbers, texts or lists"
        ) from error
