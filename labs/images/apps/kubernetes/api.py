"""Questions to this node's own API server, as its administrator."""

from __future__ import annotations

import http.client
import json
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

PKI = Path("/etc/kubernetes/pki")
HOST, PORT = "127.0.0.1", 6443
SERVER = f"https://{HOST}:{PORT}"


class NoAnswer(Exception):
    """The API server does not answer, or it refuses: `status` is its answer's, 0 without one."""

    def __init__(self, why: str, status: int = 0) -> None:
        super().__init__(why)
        self.status = status


def _connection(timeout_seconds: float | None) -> http.client.HTTPSConnection:
    context = ssl.create_default_context(cafile=str(PKI / "ca.crt"))
    context.load_cert_chain(PKI / "admin.crt", PKI / "admin.key")
    return http.client.HTTPSConnection(HOST, PORT, timeout=timeout_seconds, context=context)


def ask(path: str, *, method: str = "GET", body: Any = None) -> bytes:
    """Return what the API server answers.

    Raises:
        NoAnswer: there is none, or it is no success.
    """
    connection = _connection(5)
    try:
        headers = {"Content-Type": "application/json"} if body is not None else {}
        sent = json.dumps(body) if body is not None else None
        connection.request(method, path, sent, headers)
        answer = connection.getresponse()
        content = answer.read()
    except (OSError, http.client.HTTPException) as error:
        raise NoAnswer(str(error)) from error
    finally:
        connection.close()
    if answer.status >= 400:
        raise NoAnswer(f"{path}: status {answer.status}", answer.status)
    return content


def get(path: str) -> Any:
    """Return an object, or a list of them, as the API server has it."""
    return json.loads(ask(path))


def watch(path: str, version: str) -> Iterator[dict[str, Any]]:
    """Yield what happens to a list's objects after a version of it, until the server ends it."""
    connection = _connection(None)
    try:
        connection.request("GET", f"{path}?watch=1&resourceVersion={version}")
        answer = connection.getresponse()
        if answer.status >= 400:
            raise NoAnswer(f"{path}: status {answer.status}", answer.status)
        for line in answer:
            yield json.loads(line)
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise NoAnswer(str(error)) from error
    finally:
        connection.close()
