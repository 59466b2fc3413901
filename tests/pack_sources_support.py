"""What tests of pack sources share: packs, repositories, a git server on 127.0.0.1, zips."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import threading
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

from comfykit.events import Event
from comfykit.home import Home
from comfykit.settings import Settings

PACK = {
    "__init__.py": "NODE_CLASS_MAPPINGS = {}\n",
    "nodes/maths.py": "HALF = 0.5\n",
    "README.md": "A pack.\n",
}
_WHO = {
    "GIT_AUTHOR_NAME": "A",
    "GIT_AUTHOR_EMAIL": "a@example.com",
    "GIT_COMMITTER_NAME": "A",
    "GIT_COMMITTER_EMAIL": "a@example.com",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
}


def settings(home: Path, registry: str = "http://127.0.0.1:1") -> Settings:
    return Settings(Home(home), home / "input", home / "output", home / "temp", registry=registry)


def environment(tmp_path: Path, **more: str) -> dict[str, str]:
    """What names mirrors and tokens: nothing of this machine."""
    return {"XDG_CACHE_HOME": str(tmp_path / "cache"), "HOME": str(tmp_path), **more}


@dataclass
class Heard:
    """A reporter that remembers."""

    events: list[Event] = field(default_factory=list)

    def __call__(self, event: Event) -> None:
        self.events.append(event)

    def warnings(self) -> list[str]:
        return [str(event.message) for event in self.events if hasattr(event, "message")]


def write_files(folder: Path, files: Mapping[str, str]) -> Path:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder


def files_of(folder: Path) -> dict[str, str]:
    """A pack's files, without what git keeps."""
    return {
        path.relative_to(folder).as_posix(): path.read_text(encoding="utf-8")
        for path in folder.rglob("*")
        if path.is_file() and ".git" not in path.relative_to(folder).parts
    }


class Repo:
    """A repository to be fetched from."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        if not folder.is_dir():
            folder.mkdir(parents=True)
            self.git("init", "--quiet", "--initial-branch=main")

    def copy(self, folder: Path) -> Repo:
        """The same repository in another place."""
        shutil.copytree(self.folder, folder)
        return Repo(folder)

    def git(self, *arguments: str, stdin: str = "") -> str:
        done = subprocess.run(
            ["git", *arguments], cwd=self.folder, env={**os.environ, **_WHO}, input=stdin, check=True,
            capture_output=True, encoding="utf-8", timeout=60,
        )  # fmt: skip
        return done.stdout.strip()

    def commit(self, files: Mapping[str, str] = PACK) -> str:
        write_files(self.folder, files)
        self.git("add", "--all", "--force")
        return self.save()

    def add_submodule(self, path: str, url: str, commit: str, name: str = "") -> str:
        """Record a submodule without the help of git, which refuses hostile ones."""
        text = f'[submodule "{name or path}"]\n\tpath = {path}\n\turl = {url}\n'
        (self.folder / ".gitmodules").write_text(text)
        self.git("add", ".gitmodules")
        self.git("update-index", "--add", "--cacheinfo", f"160000,{commit},{path}")
        return self.save()

    def save(self) -> str:
        self.git("commit", "--quiet", "--allow-empty", "-m", "change")
        return self.git("rev-parse", "HEAD")


class GitServer:
    """`git http-backend` behind HTTP; `seen` has the requested paths, `refused` those that get a 401."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.seen: list[str] = []
        self.refused: set[str] = set()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.answer(self)

            def do_POST(self) -> None:
                outer.answer(self)

            def log_message(self, *args: object) -> None:
                pass

        self.httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.httpd.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.httpd.server_address[1]}"

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        parts = urlsplit(handler.path)
        self.seen.append(handler.path)
        if any(parts.path.startswith(prefix) for prefix in self.refused):
            handler.send_response(401)
            handler.send_header("WWW-Authenticate", 'Basic realm="git"')
            handler.end_headers()
            return
        body = handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
        variables = {
            "PATH": os.environ["PATH"],
            **_WHO,
            "GIT_PROJECT_ROOT": str(self.root),
            "GIT_HTTP_EXPORT_ALL": "1",
            "REQUEST_METHOD": handler.command,
            "PATH_INFO": unquote(parts.path),
            "QUERY_STRING": parts.query,
            "CONTENT_TYPE": handler.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": str(len(body)),
            "HTTP_CONTENT_ENCODING": handler.headers.get("Content-Encoding", ""),
            "GIT_PROTOCOL": handler.headers.get("Git-Protocol", ""),
        }
        done = subprocess.run(
            ["git", "http-backend"], env=variables, input=body, capture_output=True, check=False, timeout=60
        )
        head, _, data = done.stdout.partition(b"\r\n\r\n")
        fields = [line.decode().partition(": ") for line in head.split(b"\r\n") if line]
        status = next((value for name, _, value in fields if name.lower() == "status"), "200")
        handler.send_response(int(status.split()[0]))
        for name, _, value in fields:
            if name.lower() != "status":
                handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(data)


@contextmanager
def git_server(root: Path) -> Iterator[GitServer]:
    server = GitServer(root)
    thread = threading.Thread(target=server.httpd.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.httpd.shutdown()
        server.httpd.server_close()


Member = tuple[str | zipfile.ZipInfo, str | bytes]


def zip_of(members: Sequence[Member] | Mapping[str, str], top: str = "") -> bytes:
    """A zip of files; names of a mapping lie below `top`."""
    if isinstance(members, Mapping):
        members = [(f"{top}{name}", text) for name, text in members.items()]
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members:
            archive.writestr(name, data)
    return buffer.getvalue()


def member(name: str, mode: int, data: str = "") -> Member:
    """A member with a Unix mode: `0o120777` makes a link, `0o020666` a device."""
    info = zipfile.ZipInfo(name)
    info.create_system = 3
    info.external_attr = mode << 16
    return info, data
