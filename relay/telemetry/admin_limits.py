"""Limits of the admin port: how many connections there are, and how long each may take.

uvicorn waits for the rest of a request as long as it takes, and for a reader of an answer too.
Here a request has to come, and its answer to be taken, within a time; the connection is cut
otherwise. Where there are too many connections the one goes that has been idle for longest, so
that a probe is answered although somebody opens connections and leaves them. If none is idle, the
new one goes.
"""

import asyncio

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

CONNECTIONS_MAX = 64
HEADERS_BYTES_MAX = 64 * 1024
"""uvicorn bounds what it holds of a body, and not these."""
REQUEST_S = 10.0
"""From its first byte, or from when a connection is made, until a request is there."""
ANSWER_S = 30.0
"""Until an answer is handed over. `/tap` answers for as long as somebody reads."""
_ENDLESS = "/tap"


class BoundedConnection(HttpToolsProtocol):
    """A connection of the admin port."""

    _deadline: asyncio.TimerHandle | None = None
    _idle_since = 0.0
    _received = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start the time for the first request, and make room where there are too many."""
        super().connection_made(transport)
        self._idle_since = self.loop.time()
        self._cut_after(REQUEST_S)
        # The one that has been idle longest goes. This one has just begun, so it is idle, and goes
        # itself when no other is.
        if len(self.connections) > CONNECTIONS_MAX:
            idle = [one for one in self.connections if isinstance(one, BoundedConnection)]
            idle = [one for one in idle if one.cycle is None or one.cycle.response_complete]
            min(idle, key=lambda one: one._idle_since).transport.abort()  # noqa: SLF001

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing is waited for any more."""
        self._cut_after(None)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Count what comes of headers."""
        self._received += len(data)
        super().data_received(data)
        if self._received > HEADERS_BYTES_MAX:
            self.transport.abort()

    def on_message_begin(self) -> None:
        """Start the time for a later request of the connection."""
        self._cut_after(REQUEST_S)
        super().on_message_begin()

    def on_body(self, body: bytes) -> None:
        """The headers are over."""
        self._received = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Start the time for the answer."""
        self._received = 0
        self._cut_after(None if self.scope["path"] == _ENDLESS else ANSWER_S)
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """From now on the connection is idle; uvicorn closes it after its keep-alive time."""
        self._cut_after(None)
        self._idle_since = self.loop.time()
        super().on_response_complete()

    def _cut_after(self, seconds: float | None) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        self._deadline = (
            None if seconds is None else self.loop.call_later(seconds, self.transport.abort)
        )
