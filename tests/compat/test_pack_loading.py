from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest
from compat_packs import ONE, PackHome

from comfykit.compat import guard, loader
from comfykit.compat.loader import LoadedPack


def names(pack: LoadedPack) -> list[str]:
    return [entry.name for entry in pack.classes]


def test_folders_and_single_files_are_loaded_in_order(home: PackHome) -> None:
    home.pack("b_folder", ONE)
    home.pack("A_folder", ONE)
    home.pack("single.py", ONE)
    home.pack("off.disabled", "raise RuntimeError")
    report = home.load()
    assert [pack.name for pack in report.packs] == ["A_folder", "b_folder", "single"]
    assert report.failures == []
    assert {entry.name for entry in report.registry} == {"One"}


def test_titles_modules_and_folders_for_the_web(home: PackHome) -> None:
    home.pack(
        "Pack",
        f'{ONE}\nNODE_DISPLAY_NAME_MAPPINGS = {{"One": "The One"}}\nWEB_DIRECTORY = "./js"',
        js__slash__x="",
    )
    (pack,) = home.load().packs
    (entry,) = pack.classes
    assert (entry.title, entry.module) == ("The One", "custom_nodes.Pack")
    assert pack.web == (home.root / "custom_nodes" / "Pack" / "js").resolve()
    assert pack.kinds["One"].RELATIVE_PYTHON_MODULE == "custom_nodes.Pack"


def test_a_pack_for_the_front_end_alone_is_sound(home: PackHome) -> None:
    home.pack("Web", 'WEB_DIRECTORY = "js"', js__slash__x="")
    (pack,) = home.load().packs
    assert (pack.failure, pack.classes) == (None, ())


def test_a_pack_is_loaded_once(home: PackHome) -> None:
    home.pack("Pack", f"{ONE}\nimport sys\nsys.modules['sys'].times = getattr(sys, 'times', 0) + 1")
    home.load()
    home.load()
    assert sys.times == 1  # type: ignore[attr-defined]
    del sys.times  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("source", "kind", "message", "hint"),
    [
        ("import cv2_of_nobody", "package", "the Python package 'cv2_of_nobody' is missing", "cv2-of-nobody"),
        ("import skimage_gone.x\n", "package", "the Python package 'skimage_gone' is missing", ""),
        (
            "from comfy.utils import gone",
            "interface",
            "comfykit's 'comfy.utils' has no 'gone', which Bad uses",
            "",
        ),
        ("import sys\nsys.exit(3)", "exit", "it ended the process while it was imported (exit code 3)", ""),
        ("raise SystemExit", "exit", "it ended the process", ""),
        ("1 / 0", "error", "ZeroDivisionError: division by zero", ""),
        ("def f(:", "error", "SyntaxError", ""),
        ("x = 1", "error", "it offers no NODE_CLASS_MAPPINGS and no comfy_entrypoint", ""),
        (
            "try:\n    import nothing_here\nexcept ImportError as e:\n    raise RuntimeError('no') from e",
            "package",
            "'nothing_here'",
            "",
        ),
        ("NODE_CLASS_MAPPINGS = 3", "error", "TypeError", ""),
    ],
)
def test_a_pack_that_fails_is_told_with_its_cause_and_others_load(
    home: PackHome, source: str, kind: str, message: str, hint: str
) -> None:
    home.pack("Bad", source)
    home.pack("Good", ONE)
    report = home.load()
    (bad,) = report.failures
    assert bad.failure is not None
    assert (bad.name, bad.failure.kind) == ("Bad", kind)
    assert message in bad.failure.message
    assert hint in (bad.failure.hint or "")
    assert names(report.packs[1]) == ["One"]


def test_a_failure_says_where_in_the_pack(home: PackHome) -> None:
    home.pack("Bad", "from . import inner", inner__py="\n\nimport nothing_here\n")
    (pack,) = home.load().packs
    assert pack.failure is not None
    assert pack.failure.place == "inner.py:3"
    assert "nothing_here" in pack.failure.traceback


def test_a_folder_without_init_is_told(home: PackHome) -> None:
    (home.root / "custom_nodes" / "Empty").mkdir()
    (pack,) = home.load().packs
    assert pack.failure is not None
    assert "it has no __init__.py" in pack.failure.message


def test_a_class_that_is_none_leaves_the_others(home: PackHome) -> None:
    home.pack(
        "Pack",
        f"""{ONE}
class Raises(One):
    @classmethod
    def INPUT_TYPES(cls):
        raise FileNotFoundError("no models")
class Lacks:
    pass
NODE_CLASS_MAPPINGS |= {{"Raises": Raises, "Lacks": Lacks, "Nothing": None}}
""",
    )
    (pack,) = home.load().packs
    assert names(pack) == ["One"]
    assert set(pack.problems) == {"Raises", "Lacks", "Nothing"}
    assert pack.problems["Raises"].message == "FileNotFoundError: no models"


def test_the_process_looks_like_comfyuis(home: PackHome, capsys: pytest.CaptureFixture[str]) -> None:
    main, arguments = sys.modules["__main__"], list(sys.argv)
    file = getattr(main, "__file__", None)
    home.pack(
        "Pack",
        f"{ONE}\nimport sys, __main__\nprint('hello')\nFOUND = [__main__.__file__, sys.argv, __name__]",
    )
    (pack,) = home.load().packs
    module = sys.modules[pack.kinds["One"].__module__]
    root = home.settings.home.root
    assert [str(root / "main.py"), [str(root / "main.py")], str(pack.path)] == module.FOUND
    assert (getattr(main, "__file__", None), sys.argv) == (file, arguments)
    assert capsys.readouterr() == ("", "hello\n")


def test_packs_import_each_other(home: PackHome) -> None:
    home.pack("Base", f"{ONE}\nfrom .tools import VALUE", tools__py="VALUE = 5")
    home.pack(
        "User",
        f"{ONE}\nfrom custom_nodes.Base.tools import VALUE\nimport custom_nodes.Base as base\nbase.One",
    )
    assert home.load("User").failures == []


def test_packs_find_classes_in_nodes(home: PackHome) -> None:
    home.pack("A", ONE)
    home.pack(
        "B",
        f"{ONE}\nimport nodes\nassert nodes.NODE_CLASS_MAPPINGS['One']().one() == (1,)\nnodes.SaveImage",
    )
    assert home.load().failures == []


def test_prestartup_scripts_run_only_where_they_may(home: PackHome) -> None:
    place = home.pack(
        "Pack", ONE, prestartup_script__py="import pathlib\npathlib.Path(__file__).with_name('ran').touch()"
    )
    home.load()
    assert not (place / "ran").exists()
    other = home.pack(
        "Other", ONE, prestartup_script__py="import pathlib\npathlib.Path(__file__).with_name('ran').touch()"
    )
    home.load("Other", scripts=["Other"])
    assert (other / "ran").exists()


@pytest.mark.parametrize(
    "command",
    [
        "subprocess.check_call([sys.executable, '-m', 'pip', 'install', 'x'])",
        "subprocess.run('pip install x', shell=True)",
        "os.system('python3 -m pip install x')",
        "subprocess.Popen(['uv', 'pip', 'install', 'x'])",
        "import pip\npip.main(['install', 'x'])",
    ],
)
def test_packs_install_nothing(home: PackHome, command: str) -> None:
    home.pack("Pack", f"{ONE}\nimport os, subprocess, sys\n{command}")
    (pack,) = home.load().packs
    assert pack.failure is not None
    assert pack.failure.kind == "install"
    assert "Pack may not run" in pack.failure.message
    assert [name for name, _ in guard.blocked] == ["Pack"]


def test_other_commands_are_let_through(home: PackHome) -> None:
    home.pack(
        "Pack", f"{ONE}\nimport subprocess, sys\nsubprocess.check_call([sys.executable, '-c', 'pip = 1'])"
    )
    assert home.load().failures == []


def test_who_catches_a_refused_installation_goes_on(home: PackHome) -> None:
    home.pack(
        "Pack",
        f"{ONE}\nimport subprocess\ntry:\n    subprocess.check_call(['pip', 'install', 'x'])\n"
        "except subprocess.CalledProcessError:\n    pass",
    )
    (pack,) = home.load().packs
    assert pack.failure is None
    assert guard.blocked == [("Pack", "pip install x")]


def test_the_newer_form_comes_through_an_entry_point(home: PackHome) -> None:
    home.pack(
        "New",
        """
from comfy_api.latest import ComfyExtension, io
loaded = []
class Twice(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(node_id="Twice", display_name="Two times", category="x", inputs=[], outputs=[])
    @classmethod
    def execute(cls):
        return io.NodeOutput()
class Mine(ComfyExtension):
    async def on_load(self):
        loaded.append(1)
    async def get_node_list(self):
        assert loaded
        return [Twice]
async def comfy_entrypoint():
    return Mine()
""",
    )
    (pack,) = home.load().packs
    assert [(entry.name, entry.title) for entry in pack.classes] == [("Twice", "Two times")]


def test_dots_in_names_mean_no_packages(home: PackHome) -> None:
    home.pack("v1.2-pack", f"{ONE}\nfrom .inner import VALUE", inner__py="VALUE = 1")
    assert home.load().failures == []
    assert Path(home.root / "custom_nodes" / "v1.2-pack").is_dir()


def test_a_script_that_did_not_run_is_named_where_a_pack_fails(home: PackHome) -> None:
    needs = f"import sys\nassert 'here' in sys.modules['sys'].__dict__.get('told', ())\n{ONE}"
    script = "import sys\nsys.told = ['here']\n"
    home.pack("Scripted", needs, prestartup_script__py=script)
    (pack,) = home.load("Scripted").packs
    assert pack.failure is not None
    assert pack.failure.hint is not None
    assert "prestartup_script.py did not run" in pack.failure.hint
    assert "--run-scripts" in pack.failure.hint
    loader.forget()
    (pack,) = home.load("Scripted", scripts=["Scripted"]).packs
    del sys.told  # type: ignore[attr-defined]
    assert (pack.failure, names(pack)) == (None, ["One"])


@pytest.mark.parametrize(
    ("source", "own"),
    [
        ("from .repositories import upscale", ".repositories"),
        ("from .py.gone import x", ".py.gone"),
        (
            "import os, sys\nsys.path.append(os.path.dirname(__file__))\nimport pack_of_mine.gone",
            "pack_of_mine.gone",
        ),
    ],
)
def test_a_part_of_a_pack_that_was_not_fetched_is_named(home: PackHome, source: str, own: str) -> None:
    home.pack("Half", source, py__slash____init____py="", pack_of_mine__slash____init____py="")
    (pack,) = home.load().packs
    sys.modules.pop("pack_of_mine", None)
    assert pack.failure is not None
    assert pack.failure.message == f"its own module {own!r} is missing"
    assert "git submodule" in (pack.failure.hint or "")


def test_comfyuis_folders_are_there_when_packs_are_imported(home: PackHome) -> None:
    """They are in ComfyUI, and packs list them to say what their classes take."""
    home.pack(
        "Lists",
        """
        import os
        import folder_paths
        class Pick:
            @classmethod
            def INPUT_TYPES(cls):
                return {"required": {"folder": (os.listdir(folder_paths.get_output_directory()),)}}
            RETURN_TYPES = ("STRING",)
            FUNCTION = "pick"
            def pick(self, folder):
                return (folder,)
        FOUND = [
            os.path.isdir(place)
            for place in (
                folder_paths.models_dir,
                folder_paths.get_input_directory(),
                folder_paths.get_temp_directory(),
            )
        ]
        assert FOUND == [True, True, True], FOUND
        NODE_CLASS_MAPPINGS = {"Pick": Pick}
        """,
    )
    (loaded,) = home.load().packs
    assert (loaded.failure, loaded.problems) == (None, {})
    assert [entry.name for entry in loaded.classes] == ["Pick"]


def test_modules_of_comfy_are_found_by_their_bare_names_by_packs_alone(home: PackHome) -> None:
    """In ComfyUI their folder is on `sys.path`."""
    text = "import comfy.model_management as one, model_management as other\nassert one is other\n"
    home.pack("Bare", text + ONE)
    home.pack("Wrong", "import utils\n" + ONE)
    bare, wrong = home.load().packs
    assert (bare.failure, names(bare)) == (None, ["One"])
    assert wrong.failure is not None
    assert "'utils' is missing" in wrong.failure.message
    sys.modules.pop("model_management")
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("model_management")
