"""One HTTP call to a vendor → its answer, or an error from `relay.apis.errors`. Retries included.

Not the hot path: plain httpx, one call at a time. The one decision that matters is made here:
a call is repeated only if it certainly was not carried out, or if doing it twice is harmless.
Otherwise the caller gets `AnswerLost` and has to look what became of it.
"""

import asyncio
import email.utils
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Any, TypeVar

import httpx
from pydantic import TypeAdapter, ValidationError

from relay.apis.errors import (
    AccessRefused,
    AnswerLost,
    AnswerUnusable,
    ApiError,
    LoginRefused,
    NotThere,
    Refused,
    ServerFault,
    Throttled,
    Unreachable,
)
from relay.backoff import doubled
from relay.clock import Clock, SystemClock
from relay.disk import disk_errors

Sleep = Callable[[float], Awaitable[None]]
Content = bytes | Callable[[], AsyncIterator[bytes]]
_T = TypeVar("_T")

ANSWER_BYTES_MAX = 64 << 20

_REFUSALS: Mapping[int, tuple[type[ApiError], str]] = {
    401: (LoginRefused, "the credentials are not accepted"),
    403: (AccessRefused, "not allowed"),
    404: (NotThere, "there is no such thing"),
    408: (ServerFault, "failed on their side"),
    429: (Throttled, "too many requests"),
}


@dataclass(frozen=True, slots=True)
class CallRetryPolicy:
    """How often a call is tried, and how long is waited in between."""

    attempts: int = 6
    wait_s: float = 0.5
    wait_s_max: float = 30.0
    retry_after_s_max: float = 300.0


@dataclass(frozen=True, slots=True)
class Caller:
    """Calls one vendor.

    `hints` tell, by HTTP status, what somebody can do about it; `words` finds the vendor's reason
    in the body of a refusal, already free of anything personal.
    """

    vendor: str
    client: httpx.AsyncClient
    rng: random.Random
    retry: CallRetryPolicy = CallRetryPolicy()
    sleep: Sleep = asyncio.sleep
    clock: Clock = field(default_factory=SystemClock)
    hints: Mapping[int, str] = field(default_factory=dict)
    words: Callable[[bytes], str] = field(default=lambda _: "")
    faults_final: bool = False
    """Whether a 5xx is not tried again at once: some vendors open a ticket for each."""

    async def send(
        self,
        method: str,
        path: str,
        *,
        repeatable: bool,
        content: Content | None = None,
        into: Path | None = None,
        shown: str | None = None,
        **options: Any,
    ) -> httpx.Response:
        """The answer, which has a status of success. Raises an ApiError otherwise.

        With `into` its body goes to that file instead of memory. `shown` stands for the path in
        errors, where the path names somebody.
        """
        what = f"{self.vendor}: {method} {shown or path}"
        attempt = 0
        while True:
            attempt += 1
            body = content() if callable(content) else content
            try:
                return await self._attempt(what, into, method, path, content=body, **options)
            except ApiError as error:
                if error.performed and not repeatable:
                    raise lost(error) from None
                wait_s = self._wait_s(error, attempt)
                if wait_s is None:
                    raise
            await self.sleep(wait_s)

    async def value(
        self, method: str, path: str, kind: type[_T], *, repeatable: bool = True,
        shown: str | None = None, **options: Any,
    ) -> _T:  # fmt: skip
        """What the answer says. One that cannot be read tells nothing of a call that matters."""
        answer = await self.send(method, path, repeatable=repeatable, shown=shown, **options)
        try:
            return parse(f"{self.vendor}: {method} {shown or path}", kind, answer.content)
        except AnswerUnusable as error:
            raise error if repeatable else lost(error) from None

    async def _attempt(
        self, what: str, into: Path | None, method: str, path: str, **options: Any
    ) -> httpx.Response:
        try:
            async with self.client.stream(method, path, **options) as response:
                await _read(response, what, into if response.is_success else None)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise no_answer(what, error) from None
        if response.is_success:
            return response
        raise self._refusal(what, response)

    def _refusal(self, what: str, response: httpx.Response) -> ApiError:
        """An answer without success → what it means."""
        status, words = response.status_code, self.words(response.content)
        kind, meaning = _REFUSALS.get(status, (Refused, "refused"))
        if status < HTTPStatus.BAD_REQUEST:
            kind, meaning = AnswerUnusable, "a redirect, where an answer was due"
        elif status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            kind, meaning = _REFUSALS[HTTPStatus.REQUEST_TIMEOUT]
        error = kind(
            ": ".join(filter(None, (what, str(status), words, meaning))),
            hint=self.hints.get(status),
            status=status,
            performed=kind is ServerFault,
            passing=kind in (ServerFault, Throttled),
        )
        asked = response.headers.get("retry-after")
        error.retry_after_s = retry_after_s(asked, self.clock.now_ms())
        return error

    def _wait_s(self, error: ApiError, attempt: int) -> float | None:
        retry, asked = self.retry, error.retry_after_s
        final = self.faults_final and isinstance(error, ServerFault)
        if not error.passing or final or attempt >= retry.attempts:
            return None
        if asked is not None:
            return None if asked > retry.retry_after_s_max else asked
        ceiling = doubled(retry.wait_s, attempt - 1, retry.wait_s_max)
        return self.rng.uniform(ceiling / 2, ceiling)


def parse(what: str, kind: type[_T], body: bytes) -> _T:
    """The answer as a value, or AnswerUnusable that names the field and not its content."""
    try:
        return TypeAdapter(kind).validate_json(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise AnswerUnusable(
            f"{what}: the answer is not as documented: {f'{place}: ' if place else ''}"
            f"{first['msg'].partition(' at line')[0]}"
        ) from None


def lost(error: ApiError, hint: str | None = None) -> AnswerLost:
    """What there was no usable answer to."""
    return AnswerLost(
        f"{error.problem}: it may have been carried out", hint=hint, status=error.status
    )


def no_answer(what: str, error: Exception) -> ApiError:
    """What httpx says → what it means. A test holds this against every exception httpx has."""
    kind = type(error).__name__
    match error:
        case httpx.ConnectTimeout() | httpx.ConnectError() | httpx.ProxyError():
            said, performed, passing = "cannot connect", False, True
        case httpx.PoolTimeout():
            said, performed, passing = "no free connection", False, True
        case httpx.UnsupportedProtocol() | httpx.InvalidURL() | httpx.LocalProtocolError():
            said, performed, passing = "the address cannot be called", False, False
        case httpx.TimeoutException():
            said, performed, passing = "no answer in time", True, True
        case httpx.TransportError():
            said, performed, passing = "the connection broke", True, True
        case _:  # decoding errors, too many redirects
            return AnswerUnusable(f"{what}: unusable answer ({kind})", performed=True)
    return Unreachable(f"{what}: {said} ({kind})", performed=performed, passing=passing)


def retry_after_s(header: str | None, now_ms: int) -> float | None:
    """`Retry-After`, which is seconds or a date; None when it is neither."""
    if header is None:
        return None
    text = header.strip()
    if text.isascii() and text.isdigit():
        return float(text)
    try:
        date = email.utils.parsedate_to_datetime(text)
    except ValueError:
        return None
    return max(0.0, date.timestamp() - now_ms / 1000)


async def _read(response: httpx.Response, what: str, into: Path | None) -> None:
    """Read the body into the response, up to a ceiling, or all of it into a file."""
    if into is not None:
        with disk_errors(into), into.open("wb") as file:
            async for chunk in response.aiter_bytes():
                file.write(chunk)
        return
    body = bytearray()
    async for chunk in response.aiter_bytes():
        body += chunk
        if len(body) > ANSWER_BYTES_MAX:
            problem = f"{what}: the answer is larger than {ANSWER_BYTES_MAX} bytes"
            raise AnswerUnusable(problem, performed=True)
    response._content = bytes(body)  # noqa: SLF001 - what aread() does, with a ceiling
