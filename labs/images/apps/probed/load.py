"""A bounded load on a web server, which logs what becomes of each request as a line of JSON.

| variable | what it says | default |
|---|---|---|
| `HOST`, `PORT` | where the requests go; the name is looked up once | `web`, `80` |
| `RATE` | how many requests are begun in a second, at most | 40 |
| `MOST_REQUESTS`, `MOST_SECONDS` | what ends it without TERM | 10000, 240 |
| `TIMEOUT_SECONDS` | how long an answer may take | 15 |

Each request has a connection of its own, and nothing is ever sent twice.
On USR1 the next one asks for `/hang`, on TERM the load ends.
Times are unix seconds. A request that has failed says why in `cause`; the last line is how many
were sent.
"""

import asyncio
import json
import os
import signal
import socket
import time

HOST = os.environ.get("HOST", "web")
PORT = int(os.environ.get("PORT", "80"))
RATE = float(os.environ.get("RATE", "40"))
MOST_REQUESTS = int(os.environ.get("MOST_REQUESTS", "10000"))
MOST_SECONDS = float(os.environ.get("MOST_SECONDS", "240"))
TIMEOUT_SECONDS = float(os.environ.get("TIMEOUT_SECONDS", "15"))


def tell(**line: object) -> None:
    """Log a line."""
    print(json.dumps(line), flush=True)


async def address() -> tuple[str, int]:
    """Look the server up, however long it takes until its name is known."""
    while True:
        try:
            found = await asyncio.get_running_loop().getaddrinfo(
                HOST, PORT, type=socket.SOCK_STREAM
            )
        except socket.gaierror:
            await asyncio.sleep(0.5)
        else:
            return found[0][4][:2]


async def exchange(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, path: str
) -> tuple[int, str]:
    """Return the status and the body of an answer; raise `ValueError` where it is not whole."""
    try:
        writer.write(f"GET {path} HTTP/1.0\r\nHost: {HOST}\r\n\r\n".encode())
        answer = await reader.read()
    finally:
        writer.close()
    head, _, body = answer.decode().partition("\r\n\r\n")
    length = head.rpartition("Content-Length: ")[2].partition("\r\n")[0]
    if len(body) != int(length):
        raise ValueError("the answer is not whole")
    return int(head.split()[1]), body.strip()


async def ask(where: tuple[str, int], path: str) -> None:
    """Send a request, and log what became of it."""
    began = time.time()
    status, pod, missing = 0, "", "connection"
    try:
        async with asyncio.timeout(TIMEOUT_SECONDS):
            connection = await asyncio.open_connection(*where)
            missing = "answer"
            status, pod = await exchange(*connection, path)
        cause = "" if status < 500 else f"status {status}"
    except TimeoutError:
        cause = f"no {missing} in time"
    except ConnectionRefusedError:
        cause = "refused"
    except (ConnectionResetError, BrokenPipeError, ValueError):
        cause = "cut"
    except OSError as error:
        cause = os.strerror(error.errno).lower() if error.errno else str(error)
    tell(
        path=path,
        began=round(began, 3),
        ended=round(time.time(), 3),
        status=status,
        pod=pod,
        cause=cause,
    )


async def main() -> None:
    """Send requests until the load is told to end, or has reached its bounds."""
    told_to_end, told_to_hang = asyncio.Event(), asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, told_to_end.set)
    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, told_to_hang.set)
    where = await address()
    print("load on", *where, flush=True)
    until = time.monotonic() + MOST_SECONDS
    sent = 0
    async with asyncio.TaskGroup() as under_way:
        while not told_to_end.is_set() and sent < MOST_REQUESTS and time.monotonic() < until:
            sent += 1
            under_way.create_task(ask(where, "/hang" if told_to_hang.is_set() else "/"))
            told_to_hang.clear()
            await asyncio.sleep(1 / RATE)
    tell(sent=sent)


asyncio.run(main())
