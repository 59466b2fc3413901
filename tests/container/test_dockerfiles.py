"""The Dockerfiles and compose.yaml: what can be held to without a container engine."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from dockerfile import ROOT, Stage, build, debian, entrypoint, read, variables

from comfykit.fetch.parse import parse
from comfykit.fetch.secret_files import NAMES

FILES = sorted((ROOT / "docker").glob("*.Dockerfile"))
COMMON = "# All that follows is the same in every Dockerfile"


def the_same_part(path: Path) -> str:
    return path.read_text(encoding="utf-8").partition(COMMON)[2]


def stages(path: Path) -> tuple[Stage, Stage]:
    first, last = read(path.read_text(encoding="utf-8")).stages
    return first, last


def test_there_is_one_for_every_kind_of_machine() -> None:
    assert [path.stem for path in FILES] == ["cpu", "cuda", "cuda118", "rocm"]


def test_they_differ_in_their_first_lines_alone() -> None:
    assert len({the_same_part(path) for path in FILES}) == 1
    assert the_same_part(FILES[0])


def test_the_linter_has_nothing_to_say() -> None:
    linter = shutil.which("hadolint", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    assert linter is not None
    config = f"--config={ROOT / 'docker/hadolint.yaml'}"
    done = subprocess.run([linter, config, *map(str, FILES)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_torch_is_the_version_that_was_tested(path: Path) -> None:
    arguments = read(path.read_text(encoding="utf-8")).arguments
    pinned = re.search(r"^torch==(.*)$", (ROOT / "constraints.txt").read_text(encoding="utf-8"), re.MULTILINE)
    assert pinned is not None
    assert arguments["TORCH"] == ("2.7.1" if path.stem == "cuda118" else pinned[1])


def test_uv_is_the_version_that_is_pinned() -> None:
    build_stage, _ = stages(FILES[0])
    (version,) = [text.removeprefix("UV=") for text in build_stage.texts("ARG") if text.startswith("UV=")]
    pinned = re.search(r"^uv==(.*)$", (ROOT / "constraints.txt").read_text(encoding="utf-8"), re.MULTILINE)
    assert pinned is None or pinned[1] == version


def test_the_image_runs_as_somebody_and_can_be_asked_how_it_is() -> None:
    _, image = stages(FILES[0])
    assert image.texts("USER") == ["1000:0"]
    assert entrypoint(image) == ["comfykit", "start"]
    (check,) = image.texts("HEALTHCHECK")
    assert check == 'CMD ["comfykit", "start", "--health"]'
    assert "org.opencontainers.image.licenses" in variables(image.texts("LABEL")[0])
    assert image.texts("VOLUME") == [variables(image.texts("ENV")[0])["COMFYKIT_HOME"]]


def test_no_layer_keeps_a_cache() -> None:
    for stage in stages(FILES[0]):
        for instruction in stage.instructions:
            if instruction.name != "RUN":
                continue
            if "apt-get install" in instruction.text:
                assert "rm -rf /var/lib/apt/lists/*" in instruction.text
            if re.search(r"\buv pip install\b", instruction.text):
                assert "type=cache" in (instruction.flag("mount") or "")


def test_what_is_copied_is_there_and_reaches_the_build() -> None:
    allowed = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    build_stage, _ = stages(FILES[0])
    copied = {name for text in build_stage.texts("COPY") for name in text.split()[:-1]}
    assert all((ROOT / name).exists() for name in copied)
    assert {f"!{name}" for name in copied} == {line for line in allowed if line.startswith("!")}


def test_compose_has_a_profile_for_every_dockerfile() -> None:
    services = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))["services"]
    assert {name: service["profiles"] for name, service in services.items()} == {
        path.stem: [path.stem] for path in FILES
    }
    for name, service in services.items():
        assert service["build"]["dockerfile"] == f"docker/{name}.Dockerfile"
        assert set(service["build"]["args"]) == {"APT_MIRROR", "PYPI_INDEX", "TORCH_INDEX"}
        assert set(NAMES) - set(service["environment"]) == {"CIVITAI_API_TOKEN"}
        assert ("deploy" in service) == name.startswith("cuda")


def test_the_lists_that_compose_mounts_can_be_read() -> None:
    """As they are, and with the example switched on."""
    text = (ROOT / "docker/scripts/download.txt").read_text(encoding="utf-8")
    assert parse(text.encode(), "download.txt").entries == []
    example = re.sub(r"^#(?=https:|  )", "", text, flags=re.MULTILINE)
    found = parse(example.encode(), "download.txt")
    assert (len(found.entries), found.problems) == (1, [])
    nodes = (ROOT / "docker/scripts/nodes.txt").read_text(encoding="utf-8")
    assert all(line.startswith("#") for line in nodes.splitlines())


@pytest.mark.slow
def test_the_steps_work_in_a_tree_of_debian(tmp_path: Path) -> None:
    """The image draws a picture as a user who is not root, with the entrypoint as the first process.

    Needs root, debootstrap and the network; APT_MIRROR, PYPI_INDEX and TORCH_INDEX count as in compose.yaml.
    """
    dockerfile = read((ROOT / "docker/cpu.Dockerfile").read_text(encoding="utf-8"))
    base, trees = debian(tmp_path / "base"), {}
    for stage in dockerfile.stages:
        trees[stage.name] = base.copied(tmp_path / stage.name)
        build(trees[stage.name], stage, {**dockerfile.arguments, **os.environ}, trees)
    image = dockerfile.stages[-1]
    done = trees[image.name].run(*entrypoint(image), "demo", "--no-show")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / image.name / "data/comfykit-demo.png").is_file()
