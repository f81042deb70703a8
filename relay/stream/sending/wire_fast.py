"""The wire over pyreqwest, a Rust client: the default of `relay run`.

Its requests run in a thread of the client's own and come back through the event loop. Two of its
habits are mended here, each held by a test: a cancellation that meets a finished request is lost
inside the client, and a connection that breaks in mid-request calls itself a failed connect.
A third one cannot be mended from inside: see `relay.process_exit`.
"""

import asyncio
import contextlib
from collections.abc import Iterator
from datetime import timedelta
from typing import cast

from pyreqwest.client import Client, ClientBuilder
from pyreqwest.exceptions import (
    BuilderError,
    ClientClosedError,
    DetailedPyreqwestError,
    PyreqwestError,
    RequestError,
    RequestTimeoutError,
)
from pyreqwest.http import HeaderMap
from pyreqwest.proxy import ProxyBuilder
from pyreqwest.response import Response

from relay.errors import SettingsError
from relay.model import Answer, NoAnswer, Request
from relay.stream.sending.tls import client_context
from relay.stream.sending.wire import WirePolicy, detail

# Each class with what it means for an attempt; the most special class of an exception's wins.
# tests/stream/sending/test_wire_errors_mapped.py fails when pyreqwest gains a class that is not
# here. A network error is told apart by its causes: see `meaning`.
MEANING: dict[type[Exception], NoAnswer] = {
    RequestTimeoutError: NoAnswer.TIMEOUT,
    ClientClosedError: NoAnswer.BROKEN,
    RequestError: NoAnswer.BROKEN,
    BuilderError: NoAnswer.CONNECT,
}

# How hyper's client names an error from before there was a connection to send the request on.
_BEFORE_SENDING = "client error (Connect)"

_CLOSED = Answer(0, no_answer=NoAnswer.BROKEN, detail="the wire is closed")


class FastWire:
    """Sends over one shared `pyreqwest.client.Client`."""

    def __init__(self, policy: WirePolicy) -> None:
        self._policy = policy
        self._base_url = policy.base_url.rstrip("/")
        self._read_bytes = policy.response_bytes_max + 1
        self._closed = False
        self._client = _client(policy)

    async def send(self, request: Request) -> Answer:
        """One attempt."""
        if self._closed:
            return _CLOSED
        task = asyncio.current_task()
        cancels_before = 0 if task is None else task.cancelling()
        authorization = self._policy.authorization
        token = authorization.header(asyncio.get_running_loop().time())
        try:
            answer = await self._exchange(request, token)
        except Exception as error:  # noqa: BLE001 - a defect of the client never costs a record
            answer = (
                _CLOSED
                if isinstance(error, ClientClosedError)
                else Answer(
                    0, no_answer=meaning(error), detail=_detail(error).replace(token, "***")
                )
            )
        if task is not None and task.cancelling() > cancels_before:
            # The client swallows a cancellation that comes when its result is ready.
            raise asyncio.CancelledError
        if answer.status in (401, 403) and (problem := authorization.problem) is not None:
            return Answer(answer.status, answer.headers, answer.body, detail=problem)
        return answer

    async def close(self) -> None:
        """Ends all connections."""
        self._closed = True
        await self._client.close()

    async def _exchange(self, request: Request, token: str) -> Answer:
        outgoing = (
            self._client.request(request.method, self._base_url + request.path)
            .header("authorization", token, is_sensitive=True)
            .body_bytes(request.body)
            # The client reads this much ahead before it hands over the answer: just enough to
            # know whether the body ends below the ceiling.
            .streamed_read_buffer_limit(self._read_bytes)
            .build_streamed()
        )
        async with outgoing as response:
            headers = _headers(response)
            body = bytes(await response.body_reader.read(self._read_bytes) or b"")
            if len(body) < self._read_bytes:
                return Answer(response.status, headers, body)
            ceiling = self._policy.response_bytes_max
            return Answer(
                0,
                headers,
                body[:ceiling],
                NoAnswer.TOO_LARGE,
                f"HTTP {response.status} with a body above {ceiling} bytes",
            )


def meaning(error: Exception) -> NoAnswer:
    """What an exception of the client says about the attempt."""
    for cls in type(error).__mro__:
        if cls in MEANING:
            found = MEANING[cls]
            break
    else:
        return NoAnswer.BROKEN
    if found is NoAnswer.BROKEN and _BEFORE_SENDING in _messages(error):
        return NoAnswer.CONNECT
    return found


def _headers(response: Response) -> dict[str, str]:
    headers = response.headers
    try:
        if len(headers) == headers.keys_len():
            # No name comes twice, so no value is a list. One call into the client is the fastest.
            return cast("dict[str, str]", headers.dict_multi_value())
    except ValueError:  # a value is not ASCII
        pass
    return dict(_joined(headers))


def _joined(headers: HeaderMap) -> Iterator[tuple[str, str]]:
    for name in headers:
        with contextlib.suppress(ValueError):
            yield name, ", ".join(headers.getall(name))


def _client(policy: WirePolicy) -> Client:
    # Python's TLS reads the files first: its errors name the file, those of the client do not.
    client_context(policy.ca_file, policy.client_cert_file, policy.client_key_file)
    builder = (
        ClientBuilder()
        .connect_timeout(timedelta(seconds=policy.connect_timeout_s))
        .read_timeout(timedelta(seconds=policy.read_timeout_s))
        .timeout(timedelta(seconds=policy.total_timeout_s))
        .max_connections(policy.connections_max)
        .pool_max_idle_per_host(policy.connections_max)
        .pool_idle_timeout(timedelta(seconds=policy.keepalive_s))
        # A redirect would carry the token elsewhere and turn a POST into a GET.
        .follow_redirects(False)
        .referer(False)
        .default_cookie_store(False)
        .gzip(True)
        .brotli(False)
        .zstd(False)
        .deflate(False)
        .http2(policy.http2)
        # Our settings are the only source: no proxy of the environment.
        .no_proxy()
        .user_agent(policy.user_agent)
        .default_headers({"accept": "application/json", "content-type": "application/json"})
    )
    if policy.proxy_url is not None:
        builder = builder.proxy(ProxyBuilder.all(policy.proxy_url))
    if policy.ca_file is not None:
        builder = builder.add_root_certificate_pem(policy.ca_file.read_bytes())
    if policy.client_cert_file is not None:
        pem = policy.client_cert_file.read_bytes()
        if policy.client_key_file is not None:
            pem += b"\n" + policy.client_key_file.read_bytes()
        builder = builder.identity_pem(pem)
    try:
        return builder.build()
    except (BuilderError, ValueError) as error:
        raise SettingsError(
            f"the HTTP client cannot be built: {_detail(error)}",
            hint="look at tracking.base_url, tracking.proxy and the certificate files",
        ) from None


def _detail(error: Exception) -> str:
    said = error.message if isinstance(error, PyreqwestError) else str(error)
    return detail(type(error).__name__, said, *_messages(error))


def _messages(error: Exception) -> Iterator[str]:
    """What the causes of an error say, outermost first."""
    if isinstance(error, DetailedPyreqwestError):
        for cause in error.details["causes"] or ():
            yield cause["message"]
