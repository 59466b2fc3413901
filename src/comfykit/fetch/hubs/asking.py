"""Asking a hub's interface: one small JSON document, and the token of its host and no other."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from comfykit.errors import TransferError
from comfykit.fetch.hubs.base import Ask
from comfykit.fetch.tokens import Tokens
from comfykit.fetch.urls import host

if TYPE_CHECKING:
    import httpx

# A listing of a large repository has a few hundred kilobytes.
_MAX_BYTES = 16 * 1024 * 1024


def asker(client: httpx.Client, tokens: Tokens) -> Ask:
    """Questions over an httpx client; redirects are not followed, as they would lead off the interface."""

    def ask(url: str) -> object:
        import httpx

        headers = {"Accept": "application/json", **dict(tokens.headers(url))}
        body = b""
        try:
            with client.stream("GET", url, headers=headers, follow_redirects=False) as response:
                if response.status_code != 200:
                    raise TransferError(f"{host(url)} answered {response.status_code} to a question")
                for chunk in response.iter_bytes():
                    body += chunk
                    if len(body) > _MAX_BYTES:
                        raise TransferError(
                            f"{host(url)} answered a question with more than {_MAX_BYTES} bytes"
                        )
        except httpx.HTTPError as error:
            raise TransferError(f"{host(url)} did not answer a question ({type(error).__name__})") from error
        try:
            return json.loads(body)
        except (ValueError, RecursionError) as error:
            raise TransferError(f"{host(url)} answered a question with something that is no JSON") from error

    return ask
