"""What every request to every stand-in passes first: it is read, logged, and met by its fault.

An ASGI middleware. It puts the body under `sandbox.body` and the log entry under `sandbox.entry`
into the scope. The sandbox's own addresses (`/_sandbox/…`, `/openapi.json`) pass untouched.
"""

import asyncio

from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from relay.sandbox import envelopes
from relay.sandbox.faults import Described, FaultKind, FaultRule
from relay.sandbox.journal import Entry
from relay.sandbox.limiters import Pass
from relay.sandbox.state import State

OWN_PATHS = ("/_sandbox", "/openapi.json")
BODY = "sandbox.body"
ENTRY = "sandbox.entry"
CLOSE = "sandbox.close"


class ConnectionCut(ConnectionResetError):
    """Stands for a closed connection where there is none to close: an in-process transport."""


class FaultMiddleware:
    """Logs each request and applies the fault that is decided for it."""

    def __init__(self, app: ASGIApp, state: State) -> None:
        self._app = app
        self._state = state

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http" or scope["path"].startswith(OWN_PATHS):
            await self._app(scope, receive, send)
            return
        state = self._state
        body = await _read(receive, state.options.upload_bytes_max)
        if body is None:
            return
        path = scope.get("raw_path", scope["path"].encode()).decode("ascii", "replace")
        entry = state.journal.open(state.now_ms(), scope["method"], path)
        scope[BODY], scope[ENTRY] = body, entry
        headers: dict[str, str] = {}

        async def recorded(message: Message) -> None:
            if message["type"] == "http.response.start":
                state.answered(entry, message["status"])
                if headers:
                    more = [(name.encode(), value.encode()) for name, value in headers.items()]
                    message = {**message, "headers": [*message.get("headers", []), *more]}
            await send(message)

        await self._limited(scope, receive, recorded, headers)

    async def _limited(
        self, scope: Scope, receive: Receive, send: Send, headers: dict[str, str]
    ) -> None:
        """Serve one request if every limiter lets it pass; each counts it until it is over.

        `headers` takes what the limiters add to the answer.
        """
        passes: list[Pass] = []
        try:
            for limiter in self._state.limiters:
                now = asyncio.get_running_loop().time()
                passed = limiter.take(scope["path"], scope[BODY], now)
                if passed is None:
                    continue
                headers.update(passed.headers)
                if not passed.taken.accepted:
                    scope[ENTRY].fault = "limiter"
                    refusal = self._refusal(429, "Too Many Requests", {})
                    await refusal(scope, receive, send)
                    return
                passes.append(passed)
            await self._served(scope, receive, send)
        finally:
            for passed in passes:
                passed.done()

    async def _served(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, with the fault that is decided for it."""
        state = self._state
        entry: Entry = scope[ENTRY]
        body: bytes = scope[BODY]
        decision = state.next_fault(Described(entry.method, entry.path, body))
        rule = None if decision.rule is None else state.plan.rules[decision.rule]
        if decision.latency_ms:
            await state.pause(decision.latency_ms)
        if rule is not None:
            entry.fault = rule.kind.value
            await self._apply(rule, decision.delay_ms, scope, receive, send)
        elif len(body) > state.options.upload_bytes_max:
            await self._refusal(413, "The body is too large", {})(scope, receive, send)
        else:
            await self._app(scope, _replayed(body), send)

    async def _apply(
        self, rule: FaultRule, delay_ms: float, scope: Scope, receive: Receive, send: Send
    ) -> None:
        held: list[Message] = []

        async def hold(message: Message) -> None:
            held.append(message)

        # Whether the request is served before the fault: it is where the answer is late or lost,
        # and where the rule asks for it. Its answer is held back, and only a slow one is given
        # after all.
        if rule.after_storing or rule.kind in {FaultKind.LOST_ANSWER, FaultKind.SLOW}:
            await self._app(scope, _replayed(scope[BODY]), hold)
        if delay_ms:
            await self._state.pause(delay_ms)
        match rule.kind:
            case FaultKind.SLOW:
                for message in held:
                    await send(message)
            case FaultKind.STATUS:
                await self._refuse(rule, scope, receive, send)
            case FaultKind.LOST_ANSWER | FaultKind.CLOSED:
                self._state.answered(scope[ENTRY], None)
                await _close(scope, receive)

    async def _refuse(self, rule: FaultRule, scope: Scope, receive: Receive, send: Send) -> None:
        status = rule.status or 500
        headers = {} if rule.retry_after_s is None else {"retry-after": str(rule.retry_after_s)}
        response = self._refusal(status, "Injected by the sandbox", headers)
        await response(scope, receive, send)

    def _refusal(self, status: int, text: str, headers: dict[str, str]) -> Response:
        return envelopes.error(status, text, self._state.new_id(), headers=headers)


async def _close(scope: Scope, receive: Receive) -> None:
    """Close the connection by the means that the server put into the scope, and see it closed."""
    close = scope.get(CLOSE)
    if close is None:
        raise ConnectionCut("the connection was closed without an answer")
    close()
    while (await receive())["type"] != "http.disconnect":
        pass


async def _read(receive: Receive, bytes_max: int) -> bytes | None:
    """The whole body, a little more than `bytes_max` if it is too long, None if it broke off."""
    chunks: list[bytes] = []
    size, more = 0, True
    while more and size <= bytes_max:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        chunks.append(message.get("body", b""))
        size += len(chunks[-1])
        more = message.get("more_body", False)
    return b"".join(chunks)


def _replayed(body: bytes) -> Receive:
    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    return receive
