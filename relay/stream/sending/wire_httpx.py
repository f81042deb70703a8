"""The wire over httpx: for any transport of the user's, for ASGI apps and simulations in tests."""

import asyncio
import ssl
from collections.abc import Iterator

import httpx

from relay.errors import SettingsError, install
from relay.model import Answer, NoAnswer, Request
from relay.stream.sending.details import detail
from relay.stream.sending.http1 import RequestHeads, cut_answer
from relay.stream.sending.tls import TlsFiles
from relay.stream.sending.token import Authorization
from relay.stream.sending.wire import WirePolicy

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
    """Sends over an `httpx.AsyncClient`, and over a new one when that is old or its TLS files are.

    httpx gives its connections no maximum age, so its client has one. A client that was replaced
    is closed when its last request has ended.
    """

    def __init__(
        self,
        policy: WirePolicy,
        authorization: Authorization,
        *,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._policy = policy
        self._authorization = authorization
        self._base_url = policy.base_url.rstrip("/")
        self._heads = RequestHeads(policy.base_url, policy.user_agent)
        self._transport = transport
        self._closed = False
        self._tls = TlsFiles(
            policy.ca_file, policy.client_cert_file, policy.client_key_file, protocols=()
        )
        self._context = self._tls.context(0.0)
        self._renew_at: float | None = None
        self._client = _Client(policy, self._context, transport)
        self._retired: set[_Client] = set()
        self._scopes: set[asyncio.Timeout] = set()

    async def send(self, request: Request) -> Answer:
        """One attempt."""
        if self._closed:
            return _CLOSED
        authorization = self._authorization
        token = ""
        try:
            now = asyncio.get_running_loop().time()
            token = authorization.header(now)
            self._heads.of(request, token)  # refuses what no request may hold
            # httpx has no total; this one also covers the wait for a connection.
            async with asyncio.timeout(self._policy.total_timeout_s) as scope:
                self._scopes.add(scope)
                try:
                    answer = await self._exchange(await self._fresh(now), request, token)
                finally:
                    self._scopes.discard(scope)
        except Exception as error:  # noqa: BLE001 - a defect of the client never costs a record
            return _CLOSED if self._closed else self._failed(error, token)
        if answer.status in (401, 403) and (problem := authorization.problem) is not None:
            return answer._replace(detail=problem)
        return answer

    def _failed(self, error: Exception, token: str) -> Answer:
        # Our own total time is a plain TimeoutError; httpx has classes of its own for each other.
        if isinstance(error, TimeoutError):
            said = f"timeout: {self._policy.total_timeout_s:g} s in all (tracking.total_timeout_s)"
            return Answer(0, no_answer=NoAnswer.TIMEOUT, detail=said)
        said = detail(self._tls.problem, *_messages(error, self._policy))
        if token:
            said = said.replace(token, "***")
        return Answer(0, no_answer=meaning(error), detail=said)

    async def close(self) -> None:
        """Ends all connections."""
        self._closed = True
        now = asyncio.get_running_loop().time()
        for scope in self._scopes:
            if not scope.expired():
                scope.reschedule(now)
        for client in (self._client, *self._retired):
            await client.http.aclose()

    async def _fresh(self, now: float) -> "_Client":
        """The client for a request that begins now."""
        context = self._tls.context(now)
        if self._renew_at is None:
            self._renew_at = now + self._policy.connection_max_age_s
        # A transport that was handed in has its own connections, and is not ours to make again.
        # A client is made anew when a certificate file has changed, or when it is too old. The old
        # one is closed at once if nothing is under way on it, else with its last request
        # (`_exchange`).
        if self._transport is None and (context is not self._context or now >= self._renew_at):
            old, self._client = self._client, _Client(self._policy, context, None)
            self._context = context
            self._renew_at = now + self._policy.connection_max_age_s
            self._retired = {client for client in (old, *self._retired) if not client.idle}
            if old.idle:
                await old.http.aclose()
        return self._client

    async def _exchange(self, client: "_Client", request: Request, token: str) -> Answer:
        client.requests += 1
        try:
            outgoing = client.http.build_request(
                request.method,
                self._base_url + request.path,
                content=request.body,
                headers={"authorization": token},
            )
            return await self._read(client.http, outgoing)
        finally:
            client.requests -= 1
            if client.idle and client in self._retired:
                self._retired.discard(client)
                await client.http.aclose()

    async def _read(self, http: httpx.AsyncClient, outgoing: httpx.Request) -> Answer:
        response = await http.send(outgoing, stream=True)
        try:
            headers = _headers(response)
            body = bytearray()
            ceiling = self._policy.response_bytes_max
            async for chunk in response.aiter_bytes():
                body += chunk
                if len(body) > ceiling:
                    return cut_answer(response.status_code, headers, bytes(body), ceiling)
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


class _Client:
    """An httpx client, and how many requests it carries: it is closed after the last."""

    def __init__(
        self,
        policy: WirePolicy,
        context: ssl.SSLContext,
        transport: httpx.AsyncBaseTransport | None,
    ) -> None:
        self.http = _client(policy, context, transport)
        self.requests = 0

    @property
    def idle(self) -> bool:
        """Whether it carries nothing."""
        return not self.requests


def _client(
    policy: WirePolicy, context: ssl.SSLContext, transport: httpx.AsyncBaseTransport | None
) -> httpx.AsyncClient:
    proxy = None if policy.proxy is None else httpx.Proxy(policy.proxy.get_secret_value())
    try:
        return httpx.AsyncClient(
            transport=transport,
            verify=context,
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
            hint=f"{install('http2')}; or leave out tracking.http2",
        ) from None


def _messages(error: BaseException | None, policy: WirePolicy) -> Iterator[str]:
    """What the exception and its causes say, outermost first."""
    if error is not None:
        yield _TIMEOUTS.get(type(error), "{0}").format(type(error).__name__, policy)
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            yield f"TLS certificate verify failed: {error.verify_message}"
        else:
            yield str(error)
        error = error.__cause__ or error.__context__


_TIMEOUTS: dict[type[BaseException], str] = {
    httpx.ConnectTimeout: (
        "timeout: no connection within {1.connect_timeout_s:g} s (tracking.connect_timeout_s)"
    ),
    httpx.WriteTimeout: (
        "timeout: {1.write_timeout_s:g} s for the request to be taken (tracking.write_timeout_s)"
    ),
    httpx.ReadTimeout: "timeout: {1.read_timeout_s:g} s for an answer (tracking.read_timeout_s)",
}
