"""Asking a hub's interface: one small JSON document, with the token of its host and no other."""

from __future__ import annotations

import concurrent.futures
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from comfykit import __version__
from comfykit.errors import TransferError
from comfykit.fetch.connections import tls_context
from comfykit.fetch.hubs.base import Ask
from comfykit.fetch.threads import in_thread
from comfykit.fetch.tokens import Tokens
from comfykit.fetch.urls import host

if TYPE_CHECKING:
    import httpx

# A listing of a large repository has a few hundred kilobytes.
MAX_BYTES = 16 * 1024 * 1024
# For the whole answer: a timeout of reads never ends one that trickles.
ANSWER_SECONDS = 15.0
_SILENCE_SECONDS = 10.0


@contextmanager
def asking(tokens: Tokens, *, seconds: float = ANSWER_SECONDS) -> Iterator[Ask]:
    """Questions over connections of their own, which end with the block; may be asked from several threads.

    Redirects are not followed, as they would lead off the interface.
    """
    import httpx

    client = httpx.Client(
        http2=True,
        verify=tls_context(),
        follow_redirects=False,
        timeout=min(seconds, _SILENCE_SECONDS),
        headers={"User-Agent": f"comfykit/{__version__}", "Accept": "application/json"},
    )

    def ask(url: str) -> object:
        pending = in_thread(lambda: _ask(client, url, tokens))
        try:
            return pending.result(seconds)
        except concurrent.futures.TimeoutError as error:
            raise TransferError(f"{host(url)} did not answer a question within {seconds:g} s") from error

    try:
        yield ask
    finally:
        client.close()


def _ask(client: httpx.Client, url: str, tokens: Tokens) -> object:
    import httpx

    body = bytearray()
    try:
        with client.stream("GET", url, headers=dict(tokens.headers(url))) as response:
            if response.status_code != 200:
                raise TransferError(
                    f"{host(url)} answered {response.status_code} to a question", status=response.status_code
                )
            for chunk in response.iter_bytes():
                body += chunk
                if len(body) > MAX_BYTES:
                    raise TransferError(f"{host(url)} answered a question with more than {MAX_BYTES} bytes")
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise TransferError(f"{host(url)} did not answer a question ({type(error).__name__})") from error
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        raise TransferError(f"{host(url)} answered a question with something that is no JSON") from error
