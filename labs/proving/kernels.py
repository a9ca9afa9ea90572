"""Notebooks' kernels on a Jupyter server, used as JupyterLab does: by sessions and channels."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from typing import Any

import httpx
import websocket

from .errors import ProvingError

_SILENCE_SECONDS = 600


class CheckFailed(ProvingError):
    """Something that the guide promises was not so."""


@contextmanager
def notebook_kernel(client: httpx.Client, path: str) -> Iterator[str]:
    """Open a notebook as JupyterLab does, and yield the id of its kernel."""
    asked = {"path": path, "name": path, "type": "notebook", "kernel": {"name": "python3"}}
    answer = client.post("api/sessions", json=asked)
    if answer.status_code != 201:
        raise CheckFailed(f"no kernel started: {answer.status_code} {answer.text}")
    session = answer.json()
    yield session["kernel"]["id"]
    client.delete(f"api/sessions/{session['id']}")


def run_cells(address: str, token: str, sources: Iterable[str]) -> set[str]:
    """Run cells in a kernel whose channels are at an address; return the MIME types they showed.

    Raises:
        CheckFailed: a cell raised, the kernel died, or nothing was heard for ten minutes.
    """
    shown = set[str]()
    with _channels(address, token) as channels:
        for source in sources:
            shown |= _execute(channels, source)
    return shown


@contextmanager
def _channels(address: str, token: str) -> Iterator[websocket.WebSocket]:
    with closing(
        websocket.create_connection(
            address.replace("http", "ws", 1),
            timeout=_SILENCE_SECONDS,
            header=[f"Authorization: token {token}"],
            http_no_proxy=["*"],
        )
    ) as channels:
        yield channels


def _execute(channels: websocket.WebSocket, source: str) -> set[str]:
    """Run a cell to its end and return the MIME types that it showed.

    Raises:
        CheckFailed: the cell raised, the kernel died, or nothing was heard for ten minutes.
    """
    request = _execute_request(source)
    channels.send(json.dumps(request))
    shown = set[str]()
    waiting = {"idle", "reply"}
    while waiting:
        message = _receive(channels)
        content = message["content"]
        if content.get("execution_state") in {"restarting", "dead"}:
            raise CheckFailed("the kernel died")
        if message["parent_header"].get("msg_id") != request["header"]["msg_id"]:
            continue
        if message["msg_type"] in {"display_data", "execute_result"}:
            shown |= set(content["data"])
        elif message["msg_type"] == "execute_reply":
            _expect_success(content)
            waiting.discard("reply")
        elif content.get("execution_state") == "idle":
            waiting.discard("idle")
    return shown


def _execute_request(source: str) -> dict[str, Any]:
    """Return the message of the Jupyter messaging protocol that runs a cell."""
    return {
        "header": {
            "msg_id": uuid.uuid4().hex,
            "msg_type": "execute_request",
            "session": uuid.uuid4().hex,
            "username": "",
            "date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "version": "5.3",
        },
        "parent_header": {},
        "metadata": {},
        "content": {"code": source, "silent": False, "allow_stdin": False},
        "channel": "shell",
    }


def _receive(channels: websocket.WebSocket) -> dict[str, Any]:
    try:
        message: dict[str, Any] = json.loads(channels.recv())
    except websocket.WebSocketTimeoutException as error:
        raise CheckFailed(f"the kernel was silent for {_SILENCE_SECONDS} s") from error
    return message


def _expect_success(reply: dict[str, Any]) -> None:
    if reply["status"] != "ok":
        raise CheckFailed(f"{reply.get('ename', 'aborted')}: {reply.get('evalue', '')}")
