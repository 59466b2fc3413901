"""ComfyUI's `comfy.options`: whether the command line is ComfyUI's to parse; here it never is."""

args_parsing = False


def enable_args_parsing(enable: bool = True) -> None:
    global args_parsing  # noqa: PLW0603
    args_parsing = enable
