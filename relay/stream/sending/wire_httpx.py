"""The wire over httpx: for any transport of the user's, for ASGI apps and simulations in tests."""

import asyncio
import ssl
from collections.abc import Iterator

import httpx

from relay.errors import SettingsError
from relay.model import Answer, NoAnswer, Request
from relay.stream.sending.tls import client_context
from relay.stream.sending.wire import WirePolicy, detail

# Each class with what it means for an attempt; the most special class of an exception's wins.
# tests/stream/sending/test_wire_errors_mapped.py fails when httpx gains a class that is not here.
MEANING: dict[type[Exception], NoAnswer] = {
    httpx.TimeoutException: NoAnswer.TIMEOUT,
    httpx.ConnectError: NoAnswer.CONNECT,
    httpx.ProxyError: NoAnswer.CONNECT,
    httpx.UnsupportedProtocol: NoAnswer.CONNECT,
    httpx.NetworkError: NoAnswer.BROKEN,
    httpx.ProtocolError: NoAnswer.BROKEN,
    httpx.DecodingError: NoAnswer.BROKEN,
}

_CLOSED = Answer(0, no_answer=NoAnswer.BROKEN, detail="the wire is closed")


class HttpxWire:
    """Sends over one shared `httpx.AsyncClient`."""

    def __init__(
        self, policy: WirePolicy, *, transport: httpx.AsyncBaseTransport | None = None
    ) -> None:
        self._policy = policy
        self._base_url = policy.base_url.rstrip("/")
        self._closed = False
        self._client = _client(policy, transport)

    async def send(self, request: Request) -> Answer:
        """One attempt."""
        if self._closed:
            return _CLOSED
        authorization = self._policy.authorization
        token = authorization.header(asyncio.get_running_loop().time())
        outgoing = self._client.build_request(
            request.method,
            self._base_url + request.path,
            content=request.body,
            headers={"authorization": token},
        )
        try:
            # httpx has no total; this one also covers the wait for a connection.
            async with asyncio.timeout(self._policy.total_timeout_s):
                answer = await self._exchange(outgoing)
        except TimeoutError:
            return Answer(0, no_answer=NoAnswer.TIMEOUT, detail="total time limit passed")
        except Exception as error:  # noqa: BLE001 - a defect of the client never costs a record
            if self._closed:
                return _CLOSED
            return Answer(0, no_answer=meaning(error), detail=_detail(error).replace(token, "***"))
        if answer.status in (401, 403) and (problem := authorization.problem) is not None:
            return Answer(answer.status, answer.headers, answer.body, detail=problem)
        return answer

    async def close(self) -> None:
        """Ends all connections."""
        self._closed = True
        await self._client.aclose()

    async def _exchange(self, outgoing: httpx.Request) -> Answer:
        response = await self._client.send(outgoing, stream=True)
        try:
            headers = _headers(response)
            body = bytearray()
            ceiling = self._policy.response_bytes_max
            async for chunk in response.aiter_bytes():
                body += chunk
                if len(body) > ceiling:
                    return Answer(
                        0,
                        headers,
                        bytes(body[:ceiling]),
                        NoAnswer.TOO_LARGE,
                        f"HTTP {response.status_code} with a body above {ceiling} bytes",
                    )
            return Answer(response.status_code, headers, bytes(body))
        finally:
            await response.aclose()


def _headers(response: httpx.Response) -> dict[str, str]:
    headers: dict[str, str] = {}
    for raw_name, raw_value in response.headers.raw:
        if raw_value.isascii():
            name, value = raw_name.decode("latin-1").lower(), raw_value.decode("ascii")
            headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers


def meaning(error: Exception) -> NoAnswer:
    """What an exception of the client says about the attempt."""
    for cls in type(error).__mro__:
        if cls in MEANING:
            return MEANING[cls]
    return NoAnswer.BROKEN


def _client(policy: WirePolicy, transport: httpx.AsyncBaseTransport | None) -> httpx.AsyncClient:
    proxy = None if policy.proxy_url is None else httpx.Proxy(policy.proxy_url)
    try:
        return httpx.AsyncClient(
            transport=transport,
            verify=client_context(policy.ca_file, policy.client_cert_file, policy.client_key_file),
            proxy=proxy,
            # Our settings are the only source: no proxy, CA or .netrc of the environment.
            trust_env=False,
            http1=True,
            http2=policy.http2,
            # The engine's own limit is the queue; waiting here counts into the total.
            timeout=httpx.Timeout(
                connect=policy.connect_timeout_s,
                write=policy.write_timeout_s,
                read=policy.read_timeout_s,
                pool=None,
            ),
            limits=httpx.Limits(
                max_connections=policy.connections_max,
                max_keepalive_connections=policy.connections_max,
                keepalive_expiry=policy.keepalive_s,
            ),
            # A redirect would carry the token elsewhere and turn a POST into a GET.
            follow_redirects=False,
            headers={
                "accept": "application/json",
                "accept-encoding": "gzip",
                "content-type": "application/json",
                "user-agent": policy.user_agent,
            },
        )
    except ImportError:
        raise SettingsError(
            "tracking.http2 with tracking.wire: httpx needs the package h2",
            hint="install mics-relay[http2], or choose tracking.wire: fast",
        ) from None


def _detail(error: BaseException) -> str:
    return detail(type(error).__name__, *_messages(error))


def _messages(error: BaseException | None) -> Iterator[str]:
    """What the exception and its causes say, outermost first."""
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            yield f"TLS certificate verify failed: {error.verify_message}"
        else:
            yield str(error)
        error = error.__cause__ or error.__context__
