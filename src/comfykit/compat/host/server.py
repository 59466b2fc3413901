"""ComfyUI's `server`: where packs add routes and tell a front end something.

Nothing is served. Routes are kept for a server to come; messages become `NodeMessage` events. With aiohttp
installed, `routes` and `app` are aiohttp's own, as the packs that add to them import it themselves.
"""

from __future__ import annotations

import asyncio
import importlib
import threading
from collections.abc import Callable
from typing import Any, ClassVar

from comfykit.compat import running, runtime
from comfykit.compat.host.execution import PromptQueue
from comfykit.compat.places_of_modules import file_in_home
from comfykit.events import NodeMessage


class BinaryEventTypes:
    """Numbers of the messages that are not JSON."""

    PREVIEW_IMAGE = 1
    UNENCODED_PREVIEW_IMAGE = 2
    TEXT = 3
    PREVIEW_IMAGE_WITH_METADATA = 4


def __getattr__(name: str) -> Any:
    if name in ("web", "aiohttp"):
        return importlib.import_module("aiohttp.web" if name == "web" else name)
    return file_in_home("server", name)


class Routes:
    """Takes routes as aiohttp's table of routes does, where aiohttp is not installed."""

    def __init__(self) -> None:
        self.added: list[tuple[str, str, Callable[..., Any]]] = []

    def _taker(self, method: str) -> Callable[..., Any]:
        def take(path: str, **options: Any) -> Callable[..., Any]:
            def keep(handler: Callable[..., Any]) -> Callable[..., Any]:
                self.added.append((method, path, handler))
                return handler

            return keep

        return take

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name in ("get", "post", "put", "patch", "delete", "head", "view", "options"):
            return self._taker(name.upper())
        raise AttributeError(name)

    def static(self, prefix: str, path: Any, **options: Any) -> None:
        """Files below a folder."""


class Application:
    """Takes what packs add to the server, where aiohttp is not installed."""

    frozen = False

    def __init__(self) -> None:
        self.router = Routes()
        self.middlewares: list[Any] = []
        self.added: list[Any] = []

    def add_routes(self, routes: Any) -> None:
        self.added += list(routes)

    def add_subapp(self, prefix: str, app: Any) -> None:
        self.added.append((prefix, app))


def _routes_and_app() -> tuple[Any, Any]:
    try:
        web = importlib.import_module("aiohttp.web")
    except ImportError:
        return Routes(), Application()
    return web.RouteTableDef(), web.Application()


class PromptServer:
    """The server as packs know it: `PromptServer.instance`."""

    instance: ClassVar[PromptServer]

    def __init__(self, loop: asyncio.AbstractEventLoop | None = None) -> None:
        PromptServer.instance = self
        self.routes, self.app = _routes_and_app()
        self.supports = ["custom_nodes_from_web"]
        self.client_id: str | None = None
        self.sockets: dict[str, Any] = {}
        self.sockets_metadata: dict[str, Any] = {}
        self.on_prompt_handlers: list[Callable[[dict[str, Any]], dict[str, Any]]] = []
        self.prompt_queue = PromptQueue(self)
        self.number = 0
        self.address = "127.0.0.1"
        self.port = 8188
        self.last_prompt_id: str | None = None
        self._loop = loop

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """An event loop in a thread of its own, which begins when it is first asked for."""
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            threading.Thread(target=self._loop.run_forever, name="pack-server", daemon=True).start()
        return self._loop

    @property
    def last_node_id(self) -> str | None:
        """The node at work."""
        context = running.node()
        return None if context is None else context.node

    def send_sync(self, event: Any, data: Any, sid: str | None = None) -> None:
        """Tell the front end something: an event with the node at work."""
        runtime.report(NodeMessage(runtime.context().node, str(event), data))

    async def send(self, event: Any, data: Any, sid: str | None = None) -> None:
        self.send_sync(event, data, sid)

    async def send_json(self, event: str, data: Any, sid: str | None = None) -> None:
        self.send_sync(event, data, sid)

    def send_progress_text(self, text: str | bytes, node_id: str, sid: str | None = None) -> None:
        """A line of text that belongs to a node."""
        said = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
        runtime.report(NodeMessage(str(node_id), "progress_text", said))

    def add_on_prompt_handler(self, handler: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
        """A function that may change what is posted to the server; see `trigger_on_prompt`."""
        self.on_prompt_handlers.append(handler)

    def trigger_on_prompt(self, json_data: dict[str, Any]) -> dict[str, Any]:
        """What the handlers make of a request."""
        for handler in self.on_prompt_handlers:
            json_data = handler(json_data)
        return json_data

    def add_routes(self) -> None:
        """Nothing to do: routes are kept, and nothing is served."""

    def get_queue_info(self) -> dict[str, Any]:
        return {"exec_info": {"queue_remaining": self.prompt_queue.get_tasks_remaining()}}

    def queue_updated(self) -> None:
        """Nobody waits for the queue."""


PromptServer()
del __file__
