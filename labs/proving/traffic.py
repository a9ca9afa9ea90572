"""A bounded load on a server, and what became of every single request.

A stop is only as good as what it does to the requests that are under way.
`Load` keeps a number of them under way from a background thread while a lab stops the server, and
its `Report` tells for each one whether the answer came whole, was cut, or never began.

What the client sees is half of the truth: an engine that publishes a port through a proxy of its
own accepts connections for a server that has stopped listening, and cuts them at once.
Whether the *server* had taken a request is told by the server's own log (`parse_handlers`) or, for
servers that send headers first and a slow body after, by the headers having arrived
(`Report.under_way`).

Three clocks are in play, and two of them are the same: handlers and the engine's stop times are on
the engine's clock, requests are on the client's.
`in_flight` and `lost` therefore match handlers with requests by id and never by time, while
`Report.under_way` and `Report.lost` expect a moment of the client's clock.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import threading
import time
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from .errors import CouldNotMeasure, ProvingError
from .spans import span

if TYPE_CHECKING:
    import httpx

PAUSE_AFTER_FAILURE_SECONDS = 0.1
GOLDEN = 0.6180339887  # multiples of it, modulo 1, are spread evenly over 0 to 1
Met = TypeVar("Met")
ENDING_BYTES = 64
"""How much of the end of each answer's body is kept, at least."""


class Outcome(StrEnum):
    """What became of a request, as its client saw it."""

    ANSWERED = "answered"
    """The answer arrived whole, with whatever status."""
    CUT = "cut"
    """The connection was accepted, and the answer did not arrive whole."""
    REFUSED = "refused"
    """No connection came about."""
    TIMED_OUT = "timed out"
    """The answer was not whole within the time that the load allows."""


@dataclass(frozen=True, slots=True)
class Request:
    """One request; times are unix seconds of the client's clock."""

    id: str
    began_at: float
    headers_at: float | None
    """When the answer's headers had arrived, or None."""
    ended_at: float
    outcome: Outcome
    status: int | None
    received_bytes: int
    """Bytes of the answer's body that arrived, as sent."""
    detail: str
    """One sentence about a failure; empty for an answer."""
    ending: bytes = b""
    """The last bytes of the answer's body, as far as it arrived."""

    @property
    def complete(self) -> bool:
        """Whether the answer arrived whole and was not the server's own failure (5xx)."""
        return self.outcome is Outcome.ANSWERED and self.status is not None and self.status < 500


@dataclass(frozen=True, slots=True)
class Report:
    """Every request of a load, in the order in which they began."""

    requests: tuple[Request, ...]

    @property
    def sent(self) -> int:
        """The number of requests that were tried, whatever became of them."""
        return len(self.requests)

    @property
    def answered(self) -> int:
        """The number of requests whose answer arrived whole."""
        return self._count(Outcome.ANSWERED)

    @property
    def cut(self) -> int:
        """The number of accepted connections that ended before the answer was whole."""
        return self._count(Outcome.CUT)

    @property
    def refused(self) -> int:
        """The number of requests for which no connection came about."""
        return self._count(Outcome.REFUSED)

    @property
    def timed_out(self) -> int:
        """The number of requests whose answer took longer than the load allows."""
        return self._count(Outcome.TIMED_OUT)

    def under_way(self, since: float) -> tuple[Request, ...]:
        """Return the requests that the server was answering at a moment or after it.

        `since` is in unix seconds of the client's clock.
        Only requests whose headers had arrived are counted: these the server has surely taken.
        """
        return tuple(
            request
            for request in self.requests
            if request.headers_at is not None and request.ended_at > since
        )

    def lost(self, since: float) -> tuple[Request, ...]:
        """Return those under way at a moment or after it whose answer never became complete."""
        return tuple(request for request in self.under_way(since) if not request.complete)

    def _count(self, outcome: Outcome) -> int:
        return sum(request.outcome is outcome for request in self.requests)


class Load:
    """A bounded load: requests to one address, some at a time, from a background thread.

    Use it as a context manager around what happens to the server meanwhile:

        with Load(f"http://{app.address(8080)}/") as load:
            load.wait_for(answered=200)
            stop = app.stop_gracefully(10)
            report = load.finish()

    Every request has a connection of its own. On a kept-alive connection a close by the server
    is ambiguous: it may have been idle, and clients may silently send the request again (RFC 9110,
    section 9.2.2), so that a lost request would count as answered. Here a connection that ends
    early has ended exactly one request, and nothing is ever sent twice.

    Headers and length alone can lie: a server that fails half-way may fill the promised length with
    its error page. Where `body_ends_with` is given, an answer with another end counts as cut.

    Every request carries its id, which no other request of any load has, in the query (`id`) and
    in the header `X-Request-Id`. Proxy settings of the environment are ignored.

    The load ends by whichever comes first: `requests` were sent; `seconds` have passed, which also
    ends those under way; `finish()` was called; or the server is gone, which each of the
    `concurrency` workers believes after `give_up_after` requests in a row without an answer.
    Workers begin spread over `ramp_seconds`, and each waits up to `pause_seconds` before a request:
    otherwise answers that take equally long soon end all at once, with nothing in flight after.
    """

    def __init__(
        self,
        url: str,
        *,
        concurrency: int = 20,
        requests: int = 2000,
        seconds: float = 60.0,
        timeout_seconds: float = 30.0,
        give_up_after: int = 3,
        ramp_seconds: float = 1.0,
        pause_seconds: float = 0.25,
        body_ends_with: bytes = b"",
    ) -> None:
        """Prepare a load; raise `ProvingError` where a bound is not positive."""
        bounds = (concurrency, requests, seconds, timeout_seconds, give_up_after)
        if min(bounds) <= 0 or min(ramp_seconds, pause_seconds) < 0:
            raise ProvingError(
                f"A load on {url} was asked for with a bound of zero or less; "
                "give it a positive number of requests, seconds and workers."
            )
        self.url = url
        self.concurrency = concurrency
        self.requests = requests
        self.seconds = seconds
        self.timeout_seconds = timeout_seconds
        self.give_up_after = give_up_after
        self.ramp_seconds = ramp_seconds
        self.pause_seconds = pause_seconds
        self.body_ends_with = body_ends_with
        self._run_id = uuid.uuid4().hex[:8]
        self._begun = 0
        self._ended: list[Request] = []
        self._answered = 0
        self._changed = threading.Condition()
        self._over = False
        self._told_to_finish = threading.Event()
        self._failure: BaseException | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._main: asyncio.Task[None] | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> Load:
        """Start the load in the background and return it; raise `ProvingError` if it has run."""
        import httpx  # noqa: F401  (its import is not to count against the load's seconds)

        if self._thread is not None:
            raise ProvingError(
                f"A load on {self.url} was started twice; make a new one for each run."
            )
        self._thread = threading.Thread(target=self._run, name=f"load-{self._run_id}", daemon=True)
        self._thread.start()
        return self

    def wait_for(self, *, answered: int, timeout_seconds: float = 30.0) -> None:
        """Wait until a number of answers have arrived whole.

        Raises `CouldNotMeasure` where the load ends, or the time passes, before that.
        """
        with span("load", self.url), self._changed:
            self._changed.wait_for(
                lambda: self._answered >= answered or self._over, timeout_seconds
            )
            if self._answered >= answered:
                return
            ending = "the load ended" if self._over else f"{timeout_seconds:g} s passed"
            last = next((r.detail for r in reversed(self._ended) if r.detail), "")
            raise CouldNotMeasure(
                f"{answered} answers of {self.url} were waited for, but {ending} "
                f"after {self._answered}. {last or 'Look at the log of the container.'}"
            )

    def finish(self) -> Report:
        """Begin no more requests, wait for those under way and return the report.

        May be called again. Raises `ProvingError` where the load was never started, and whatever
        unexpected failure ended it.
        """
        if self._thread is None:
            raise ProvingError(f"The load on {self.url} was never started; use it in a with block.")
        self._told_to_finish.set()
        with span("load", self.url):
            self._thread.join()
        if self._failure is not None:
            raise self._failure
        return Report(tuple(sorted(self._ended, key=lambda request: request.began_at)))

    def __enter__(self) -> Load:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            self.finish()
        else:
            self._abort()

    def _abort(self) -> None:
        self._told_to_finish.set()
        if self._loop is not None and self._main is not None:
            with contextlib.suppress(RuntimeError):  # the loop has closed: the load is over
                self._loop.call_soon_threadsafe(self._main.cancel)
        if self._thread is not None:
            self._thread.join(timeout=5)

    def _run(self) -> None:
        try:
            asyncio.run(self._drive())
        except asyncio.CancelledError:
            pass
        except BaseException as failure:  # told by finish(), in the caller's thread
            self._failure = failure
        finally:
            with self._changed:
                self._over = True
                self._changed.notify_all()

    async def _drive(self) -> None:
        import httpx

        self._loop = asyncio.get_running_loop()
        self._main = asyncio.current_task()
        one_each = httpx.Limits(max_keepalive_connections=0)
        headers = {"Connection": "close", "Accept-Encoding": "identity"}
        try:
            async with (
                asyncio.timeout(self.seconds),
                httpx.AsyncClient(
                    limits=one_each, headers=headers, timeout=self.timeout_seconds, trust_env=False
                ) as client,
                asyncio.TaskGroup() as workers,
            ):
                for number in range(self.concurrency):
                    delay_seconds = self.ramp_seconds * number / self.concurrency
                    workers.create_task(self._work(client, delay_seconds))
        except TimeoutError:
            pass  # the hard bound: what was under way is recorded as timed out

    async def _work(self, client: httpx.AsyncClient, delay_seconds: float) -> None:
        await asyncio.sleep(delay_seconds)
        failures = 0
        while failures < self.give_up_after and self._begun < self.requests:
            self._begun += 1
            number = self._begun
            await asyncio.sleep(self.pause_seconds * (number * GOLDEN % 1))
            if self._told_to_finish.is_set():
                return
            outcome = await self._ask(client, f"{self._run_id}-{number}")
            if outcome is Outcome.ANSWERED:
                failures = 0
            else:
                failures += 1
                await asyncio.sleep(PAUSE_AFTER_FAILURE_SECONDS)

    async def _ask(self, client: httpx.AsyncClient, request_id: str) -> Outcome:
        import httpx

        url = httpx.URL(self.url).copy_add_param("id", request_id)
        outcome, detail = Outcome.TIMED_OUT, f"The load was ended before {url} had answered."
        began_at = time.time()
        headers_at: float | None = None
        status: int | None = None
        received_bytes = 0
        end = b""
        try:
            async with asyncio.timeout(self.timeout_seconds):
                async with client.stream(
                    "GET", url, headers={"X-Request-Id": request_id}
                ) as response:
                    headers_at, status = time.time(), response.status_code
                    async for chunk in response.aiter_raw():
                        received_bytes += len(chunk)
                        end = (end + chunk)[-max(len(self.body_ends_with), ENDING_BYTES) :]
            if end.endswith(self.body_ends_with):
                outcome, detail = Outcome.ANSWERED, ""
            else:
                outcome = Outcome.CUT
                told = end[-len(self.body_ends_with) :]
                detail = f"{url} was answered with a body that ends in {told!r}."
        except (TimeoutError, httpx.TimeoutException):
            detail = f"{url} gave no whole answer within {self.timeout_seconds:g} s."
        except httpx.ConnectError as error:
            outcome = Outcome.REFUSED
            detail = f"No connection to {url} came about: {_reason(error)}."
        except httpx.TransportError as error:
            outcome = Outcome.CUT
            detail = f"{url} was cut after {received_bytes} bytes of its body: {_reason(error)}."
        finally:
            self._record(
                Request(
                    id=request_id,
                    began_at=began_at,
                    headers_at=headers_at,
                    ended_at=time.time(),
                    outcome=outcome,
                    status=status,
                    received_bytes=received_bytes,
                    detail=detail,
                    ending=end,
                )
            )
        return outcome

    def _record(self, request: Request) -> None:
        with self._changed:
            self._ended.append(request)
            self._answered += request.outcome is Outcome.ANSWERED
            self._changed.notify_all()


def _reason(error: Exception) -> str:
    return str(error).rstrip(".") or type(error).__name__


@dataclass(frozen=True, slots=True)
class Handler:
    """One handling of a request, by the server's own log; unix seconds of the server's clock."""

    id: str
    began_at: float
    ended_at: float | None
    """When the answer had been handed to the system, or None where the log doesn't say so."""


_MARKER = re.compile(r"\bhandler (began|ended) id=(\S+) at=(\d+(?:\.\d+)?)")


def parse_handlers(log_text: str) -> tuple[Handler, ...]:
    """Return the handlings that a server's log tells of, in the order in which they began.

    The marker lines are ours, and the servers of the labs write them unbuffered:
    `handler began id=ID at=SECONDS` before anything is done for a request, and
    `handler ended id=ID at=SECONDS` after the answer is written. Other text is passed over.
    """
    handlers: list[Handler] = []
    open_at: dict[str, int] = {}
    for event, request_id, at in _MARKER.findall(log_text):
        if event == "began":
            open_at[request_id] = len(handlers)
            handlers.append(Handler(request_id, float(at), None))
        elif request_id in open_at:
            index = open_at.pop(request_id)
            handlers[index] = Handler(request_id, handlers[index].began_at, float(at))
    return tuple(sorted(handlers, key=lambda handler: handler.began_at))


def in_flight(handlers: Iterable[Handler], at: float) -> tuple[Handler, ...]:
    """Return the handlers that had begun before a moment and had not ended by then.

    `at` is in unix seconds of the server's clock, such as the engine's time of TERM.
    """
    return tuple(
        handler
        for handler in handlers
        if handler.began_at < at and (handler.ended_at is None or handler.ended_at > at)
    )


def lost(handlers: Iterable[Handler], report: Report, at: float) -> tuple[Request, ...]:
    """Return the requests whose handler was in flight at a moment and which got no whole answer.

    This is what a stop costs: later requests are turned away by any server that stops.
    `at` is in unix seconds of the server's clock; requests and handlers are matched by their id.
    """
    taken = {handler.id for handler in in_flight(handlers, at)}
    return tuple(r for r in report.requests if r.id in taken and not r.complete)


class NothingInFlight(CouldNotMeasure):
    """A stop met no request: the client had stalled, on a machine with much other work."""


def met_by_requests(measure: Callable[[], Met], tries: int = 3) -> Met:
    """Return what a stop under load has measured, tried again where it met no request.

    Raises:
        NothingInFlight: it met none in all of the tries.
    """
    for _ in range(tries - 1):
        with contextlib.suppress(NothingInFlight):
            return measure()
    return measure()


@dataclass(frozen=True, slots=True)
class StopUnderLoad:
    """What a stop did to the requests that the server had taken."""

    in_flight: int
    """Requests in the server's hands at the signal."""
    lost: int
    """Those of them that never got a whole answer."""
    sent: int
    """Requests that the load sent altogether."""
    answered: int
    """Those of all sent that were answered whole."""


def stop_under_load(
    report: Report, at: float, handlers: Iterable[Handler] | None = None
) -> StopUnderLoad:
    """Return what a signal at a moment did to the requests in flight.

    With the `handlers` of the server's log, `at` is the engine's time of the signal, and what was
    in flight then is counted.
    Without them `at` is the client's time (`time.time()`) just before it asked for the stop, and
    what was under way from then on is counted: an engine notes a signal only after it has sent it,
    when requests may already have been cut.
    For a server that had to be killed, `at` is the moment of its end. An engine with much to do
    sends SIGKILL later than a grace period after the stop signal.
    Raises `NothingInFlight` where nothing was, since such a stop proves nothing.
    """
    if handlers is None:
        taken, without_answer = len(report.under_way(at)), len(report.lost(at))
    else:
        ours = {request.id for request in report.requests}
        handlers = [handler for handler in handlers if handler.id in ours]
        taken, without_answer = len(in_flight(handlers, at)), len(lost(handlers, report, at))
    if taken == 0:
        raise NothingInFlight(
            f"No request was in flight when the stop began ({report.sent} were sent, "
            f"{report.answered} answered); stop the server while the load is running."
        )
    return StopUnderLoad(taken, without_answer, report.sent, report.answered)


class StopTimes(Protocol):
    """What `timeline` needs of a stop; unix seconds of the engine's clock."""

    @property
    def term_at(self) -> float: ...
    @property
    def died_at(self) -> float: ...
    @property
    def killed(self) -> bool: ...


def timeline(
    report: Report,
    stop: StopTimes,
    grace_seconds: float,
    handlers: Iterable[Handler] | None = None,
    *,
    before_seconds: float = 1.0,
    clock_ahead_seconds: float = 0.0,
) -> dict[str, Any]:
    """Return a stop under load in the form that a claim's record keeps; seconds relative to TERM.

    Requests that ended more than `before_seconds` before TERM are left out.
    A request that was cut counts as refused where the server never took it: where `handlers` are
    given and none has its id, or else where it began after TERM and no headers came back.
    An answer that is not complete, such as a 500, counts as cut.
    `clock_ahead_seconds` is by how much the engine's clock is ahead of the client's.
    """
    taken = None if handlers is None else {handler.id for handler in handlers}
    term_at = stop.term_at - clock_ahead_seconds
    return {
        "term_at": 0.0,
        "kill_at": float(grace_seconds) if stop.killed else None,
        "died_at": round(stop.died_at - stop.term_at, 6),
        "grace_seconds": float(grace_seconds),
        "requests": [
            {
                "began": round(request.began_at - term_at, 3),
                "ended": round(request.ended_at - term_at, 3),
                "outcome": _drawn_as(request, term_at, taken),
            }
            for request in report.requests
            if request.ended_at >= term_at - before_seconds
        ],
    }


def _drawn_as(request: Request, term_at: float, taken: set[str] | None) -> str:
    if request.complete or request.outcome is Outcome.REFUSED:
        return request.outcome.value
    if taken is not None:
        was_taken = request.id in taken
    else:
        was_taken = request.headers_at is not None or request.began_at < term_at
    return Outcome.CUT.value if was_taken else Outcome.REFUSED.value
