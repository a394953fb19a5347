"""Send to a webhook: one POST for each message, tried again under the same identity until it is settled.

The identity is in `Idempotency-Key`. A receiver that honours it takes a message once, however often it is tried; one
that does not may take a message again whose answer came too late, or was lost with an interrupted process.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from contracts.errors import BadInput, Unreachable
from contracts.model.proxies import Proxy, proxy_for
from contracts.replay.plan.messages import REPLAY, REPLAY_ORIGIN, Outgoing, ReplayRun
from contracts.replay.send.sender import Recalled, SendOutcome, Settle, Status
from contracts.replay.target.webhook import Webhook

if TYPE_CHECKING:
    import urllib3

_AGAIN: Final = frozenset({500, 502, 503, 504})
_TOO_MANY: Final = 429
_MOST_BYTES: Final = 1 << 16  # of an answer; a longer one costs its connection


class _Answer:
    __slots__ = ("after_s", "reached", "status", "why")

    def __init__(self, status: int, why: str, *, after_s: float | None = None, reached: bool = True) -> None:
        self.status, self.why, self.after_s, self.reached = status, why, after_s, reached


class WebhookSender:
    """See `Sender`. At most `most` requests are under way at once, each in its own thread."""

    def __init__(self, target: Webhook, run: ReplayRun, *, most: int, settle: Settle) -> None:
        import urllib3  # noqa: PLC0415 - only webhooks need it

        parts = urlsplit(target.url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise BadInput(f"{target.place} is not the URL of a webhook; expected http://… or https://…")
        self._target, self._run, self._most, self._settle = target, run, most, settle
        self._url = urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2], fragment=""))
        self._headers = {"Content-Type": "application/json", **target.headers}
        if parts.username is not None:
            login = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
            self._headers |= urllib3.make_headers(basic_auth=login)
        self._proxy = proxy_for(target.url, os.environ)
        self._pool = _pool(self._proxy, maxsize=most, retries=False, timeout=urllib3.Timeout(target.timeout_s))
        self._threads = ThreadPoolExecutor(most, "webhook")
        self._free = asyncio.Semaphore(most)
        self._tasks: set[asyncio.Task[None]] = set()
        self._not_before = 0.0
        self._failure: BaseException | None = None
        self.position: int | None = None

    async def recall(self, after: int | None, is_wanted: Callable[[int], bool]) -> Recalled:  # noqa: ARG002
        """See `Sender.recall`: the receiver knows the identity of what it took."""
        return Recalled(may_go_again=True)

    async def send(self, message: Outgoing) -> None:
        """See `Sender.send`."""
        await self._free.acquire()
        if self._failure is not None:
            raise self._failure
        task = asyncio.create_task(self._deliver(message))
        self._tasks.add(task)
        task.add_done_callback(self._done)

    async def finish(self) -> None:
        """See `Sender.finish`."""
        while self._tasks and self._failure is None:
            await asyncio.wait(self._tasks, return_when=asyncio.FIRST_EXCEPTION)
        if self._failure is not None:
            raise self._failure

    async def close(self) -> None:
        """See `Sender.close`."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._pool.clear()

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._free.release()
        if not task.cancelled() and task.exception() is not None:
            self._failure = self._failure or task.exception()

    async def _deliver(self, message: Outgoing) -> None:
        loop = asyncio.get_running_loop()
        tries = failures = 0
        was_reached = False
        while True:
            await self._until_asked_for()
            answer = await loop.run_in_executor(self._threads, self._post, message)
            tries += 1
            was_reached |= answer.reached
            outcome = self._judge(answer, tries)
            if outcome is not None:
                self._settle(message, outcome)
                return
            if answer.after_s is not None:  # Retry-After holds for all messages, and is no failure
                wait_s = max(answer.after_s, self._target.waits_s[0])
                self._not_before = max(self._not_before, loop.time() + wait_s)
                continue
            if failures == len(self._target.waits_s):
                if not was_reached:
                    raise Unreachable("the webhook", self._target.place, answer.why)
                status = Status.REFUSED if answer.status else Status.UNKNOWN
                self._settle(message, SendOutcome(status, detail=answer.why, tries=tries))
                return
            await asyncio.sleep(self._target.waits_s[failures])
            failures += 1

    async def _until_asked_for(self) -> None:
        """Wait until the last Retry-After is over; another message may extend it meanwhile."""
        clock = asyncio.get_running_loop().time
        early_s = self._not_before - clock()
        while early_s > 0:
            await asyncio.sleep(early_s)
            early_s = self._not_before - clock()

    def _judge(self, answer: _Answer, tries: int) -> SendOutcome | None:
        """Return the outcome that an answer means, None where the request is retried."""
        if 200 <= answer.status < 300:
            return SendOutcome(Status.CONFIRMED, detail=answer.why, tries=tries)
        if not answer.status or answer.status in _AGAIN or answer.status == _TOO_MANY:
            return None
        return SendOutcome(Status.REFUSED, detail=answer.why, tries=tries)

    def _post(self, message: Outgoing) -> _Answer:
        import urllib3  # noqa: PLC0415

        headers = {
            **self._headers,
            "Idempotency-Key": message.message_id(self._run.run_id),
            REPLAY: self._run.run_id,
            REPLAY_ORIGIN: quote(message.origin, safe=" #/:.,@+=()"),  # a header is ASCII
        }
        try:
            answer = self._pool.request(
                "POST", self._url, body=message.payload, headers=headers, redirect=False, preload_content=False
            )
        except (urllib3.exceptions.HTTPError, OSError) as error:
            why = f"through {self._proxy}: {_reason(error)}" if self._proxy else _reason(error)
            cause = error.original_error if isinstance(error, urllib3.exceptions.ProxyError) else error
            return _Answer(0, why, reached=not isinstance(cause, urllib3.exceptions.ConnectTimeoutError))
        after_s = _after_s(answer) if answer.status in {_TOO_MANY, *_AGAIN} else None
        self._finish_reading(answer)
        return _Answer(answer.status, f"HTTP {answer.status}", after_s=after_s)

    @staticmethod
    def _finish_reading(answer: urllib3.BaseHTTPResponse) -> None:
        """Leave the connection ready for the next request; close it where the answer goes on and on."""
        try:
            answer.read(_MOST_BYTES)
            if answer.read(1):
                answer.close()
        except Exception:  # noqa: BLE001 - the status is all that counts, and is known
            answer.close()
        answer.release_conn()


def _pool(proxy: Proxy | None, **options: Any) -> urllib3.PoolManager:
    import urllib3  # noqa: PLC0415

    if proxy is None:
        return urllib3.PoolManager(**options)
    login = urllib3.make_headers(proxy_basic_auth=proxy.login) if proxy.login else None
    return urllib3.ProxyManager(proxy.place, proxy_headers=login, **options)


def _after_s(answer: urllib3.BaseHTTPResponse) -> float | None:
    from urllib3.exceptions import InvalidHeader  # noqa: PLC0415
    from urllib3.util import Retry  # noqa: PLC0415

    told = answer.headers.get("Retry-After")
    try:
        return None if told is None else Retry().parse_retry_after(told)
    except InvalidHeader:
        return None


def _reason(error: Exception) -> str:
    import urllib3  # noqa: PLC0415

    is_refusal = isinstance(error, urllib3.exceptions.NewConnectionError)  # one of the time-outs, by its class
    if isinstance(error, urllib3.exceptions.TimeoutError) and not is_refusal:
        return "no answer in time"
    at: BaseException | None = error
    while at is not None:
        if isinstance(at, OSError) and at.strerror:
            return at.strerror
        at = at.__cause__ or at.__context__
    return type(error).__name__
