"""The demo: a picture from the tiny model that comes with the package.

Nothing is needed for it but a folder that the picture can be written to: no network, no home, no GPU.
What is imported with torch is imported when it is needed, as that takes a second.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path

from comfykit.errors import ModelFileError, UsageError
from comfykit.events import Event, OutputSaved, Reporter, silent
from comfykit.home import PACKAGED, Home, expand
from comfykit.settings import Settings
from comfykit.workflow.override import MAX_SEED
from comfykit.workflow.read import Workflow

WORKFLOW = PACKAGED.parent / "workflows" / "demo.json"
CHECKPOINT = PACKAGED / "checkpoints" / "demo.safetensors"
TOKEN_TABLE = "cond_stage_model.transformer.text_model.embeddings.token_embedding.weight"

STEM, SUFFIX = "comfykit-demo", ".png"
MAX_STEPS = 10_000
MAX_CFG = 100.0

# Ids of nodes in the workflow.
POSITIVE, NEGATIVE, SAMPLER = "2", "3", "5"


@dataclass(frozen=True, slots=True)
class Choices:
    """What a person may choose of a picture; None leaves what the workflow has."""

    prompt: str | None = None
    negative: str | None = None
    seed: int | None = None
    steps: int | None = None
    cfg: float | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """Where the picture goes.

    `name` is that of its file in `folder`; without one it is comfykit-demo.png, or comfykit-demo-2.png and so
    on where that is taken. With `replacing` a file of that name is replaced.
    """

    folder: Path
    name: str | None = None
    replacing: bool = False


@dataclass(frozen=True, slots=True)
class DemoPicture:
    """A picture that was made; `unknown` are words of the prompt that the model never learned.

    `seconds` counts the work from the import of torch to the file.
    """

    path: Path
    prompt: str
    seed: int
    steps: int
    seconds: float
    unknown: tuple[str, ...] = ()


def demo_workflow(choices: Choices | None = None) -> Workflow:
    """The workflow that comes with the package, with what was chosen; raises `UsageError` for bad choices."""
    choices = choices or Choices()
    _check(choices)
    prompt = json.loads(WORKFLOW.read_text(encoding="utf-8"))
    chosen = [
        (POSITIVE, "text", choices.prompt),
        (NEGATIVE, "text", choices.negative),
        (SAMPLER, "seed", choices.seed),
        (SAMPLER, "steps", choices.steps),
        (SAMPLER, "cfg", choices.cfg),
    ]
    for node, name, value in chosen:
        if value is not None:
            prompt[node]["inputs"][name] = value
    return Workflow("demo", prompt)


def choose_place(output: Path | None = None, *, replacing: bool = False) -> Place:
    """Where a picture goes that is to be `output`, or in the current folder under a name of its own.

    Raises `UsageError` for a name that no PNG has, and where something lies there already.
    """
    if output is None:
        return Place(Path())
    path = expand(str(output))
    with _explained(path):
        is_folder, is_there = path.is_dir(), path.exists()
    if is_folder:
        raise UsageError(f"{path} is a folder", hint="name a file in it")
    if path.suffix.lower() != SUFFIX:
        raise UsageError(
            f"{path}: the picture is a PNG, and this name does not end with {SUFFIX}",
            hint=f"name it {path.with_suffix(SUFFIX)}" if path.name else None,
        )
    if is_there and not replacing:
        raise _taken(path)
    return Place(path.parent, path.name, replacing)


def demo_settings(place: Place, device: str = "cpu") -> Settings:
    """Settings without a home: models of the package alone, outputs beside the picture.

    On the CPU in float32 the picture is the same on every machine.
    """
    # The folder around the package's models is laid out as a home is.
    return Settings(Home(PACKAGED.parent), place.folder, place.folder, place.folder, device, "fp32")


def make_picture(
    workflow: Workflow,
    place: Place,
    settings: Settings,
    reporter: Reporter = silent,
    stopped: Callable[[], bool] = lambda: False,
) -> DemoPicture:
    """Run the demo's workflow and put its picture in place, whole or not at all.

    Raises `UsageError` where the picture cannot be written, `ModelFileError` where the model is not in
    the package, `NodeFailed` when the run fails and `Interrupted` once `stopped()` is true.
    """
    begin = time.monotonic()
    if not CHECKPOINT.is_file():
        raise ModelFileError(f"{CHECKPOINT} is not there", hint="install comfykit again")
    inputs = {**workflow.prompt[POSITIVE]["inputs"], **workflow.prompt[SAMPLER]["inputs"]}
    wanted = place.folder / (place.name or f"{STEM}{SUFFIX}")
    with _explained(wanted):
        work = tempfile.TemporaryDirectory(prefix=f".{STEM}-", dir=place.folder)
    with work as folder:
        shown, made = _run(workflow, replace(settings, output_dir=Path(folder)), reporter, stopped)
        with _explained(wanted):
            path = _put(made, place)
    reporter(replace(shown, ui={"images": [{"filename": path.name, "subfolder": "", "type": "output"}]}))
    unknown = tuple(_unknown_words(inputs["text"]))
    seconds = time.monotonic() - begin
    return DemoPicture(path, inputs["text"], inputs["seed"], inputs["steps"], seconds, unknown)


def _run(
    workflow: Workflow, settings: Settings, reporter: Reporter, stopped: Callable[[], bool]
) -> tuple[OutputSaved, Path]:
    """Run into a folder; the event that says so is kept back, as the file does not stay there."""
    from comfykit.services.run import Runner

    saved: list[OutputSaved] = []

    def report(event: Event) -> None:
        if isinstance(event, OutputSaved):
            saved.append(event)
        else:
            reporter(event)

    with _one_thread():
        result = Runner(settings, report).run(workflow, stopped)
    if result.error is not None:
        raise result.error
    (files,) = result.outputs.values()
    return saved[0], settings.output_dir / str(files[0]["filename"])


@contextmanager
def _one_thread() -> Iterator[None]:
    """Within, PyTorch computes in one thread.

    The model is so small that more would gain nothing, and where other programs keep the cores busy,
    threads that wait for one another take several times as long as one.
    """
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _put(made: Path, place: Place) -> Path:
    """Give the picture its name; raises `UsageError` where another file took it meanwhile."""
    from comfykit.nodes.files import claim

    for name in _names(place):
        path = place.folder / name
        if place.replacing:
            made.replace(path)
            return path
        if claim(made, path):
            return path
    raise _taken(place.folder / (place.name or STEM))


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Within, what the system refuses becomes a `UsageError` about `path`."""
    try:
        yield
    except OSError as error:
        raise UsageError(
            f"{path} cannot be written: {error.strerror or error}", hint="name another place with -o FILE"
        ) from error


def _names(place: Place) -> Iterator[str]:
    if place.name is not None:
        yield place.name
        return
    yield f"{STEM}{SUFFIX}"
    yield from (f"{STEM}-{number}{SUFFIX}" for number in count(2))


def _unknown_words(prompt: str) -> list[str]:
    from comfykit.text.vocabulary import unknown_words
    from comfykit.weights.read import open_weights

    return unknown_words(prompt, open_weights(CHECKPOINT).tensors[TOKEN_TABLE])


def _check(choices: Choices) -> None:
    if choices.steps is not None and not 1 <= choices.steps <= MAX_STEPS:
        raise UsageError(f"--steps {choices.steps} is not a whole number from 1 to {MAX_STEPS}")
    if choices.cfg is not None and not 0 <= choices.cfg <= MAX_CFG:
        raise UsageError(f"--cfg {choices.cfg} is not a number from 0 to {MAX_CFG:g}")
    if choices.seed is not None and not 0 <= choices.seed <= MAX_SEED:
        raise UsageError(f"--seed {choices.seed} is not a whole number from 0 to {MAX_SEED}")
    for what, text in (("prompt", choices.prompt), ("--negative", choices.negative)):
        try:
            (text or "").encode()
        except UnicodeEncodeError as error:
            raise UsageError(f"the {what} {text!a} is not UTF-8") from error


def _taken(path: Path) -> UsageError:
    return UsageError(f"{path} is there already", hint="replace it with --force, or name another file")
