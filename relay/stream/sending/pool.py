"""The open connections: which one carries the next request, when one more is opened, when they end.

    an idle one is there        the one that was used last, so that the others can age
    fewer than the ceiling      one more is opened, by the task of the request that needs it
    otherwise                   the request waits in line for one that is released or ends

One timer looks at all of them; there is none for each request. The pool has no task of its own.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from functools import partial

from relay.model import Answer, NoAnswer
from relay.stream.sending.connection import Connection, HeadMemo, Limits
from relay.stream.sending.dialing import Dialer, NotConnected

CLOSED = Answer(0, no_answer=NoAnswer.BROKEN, detail="the wire is closed")

# A time limit is kept to a tenth: one timer looks that often at all connections. A timer for each
# request would be made and cancelled twice for each event.
_LOOKS_PER_LIMIT = 10
_LOOK_EVERY_MAX_S = 0.5
_LOOK_EVERY_MIN_S = 0.005
_END_WITHIN_S = 2.0  # after a close, for TLS to say goodbye
_AGE_SPREAD = 0.2  # of the maximum age, so that connections do not all end together
# Steps of the golden ratio spread any number of values evenly over 0 to 1, without chance.
_GOLDEN = 0.618034


class Pool:
    """Connections to one destination. Belongs to the event loop that it was made in."""

    def __init__(
        self, dialer: Dialer, limits: Limits, *, connections_max: int, age_max_s: float
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._dialer = dialer
        self._limits = limits
        self._max = connections_max
        self._age_max_s = age_max_s
        self._memo = HeadMemo()
        self._idle: list[Connection] = []
        self._open: set[Connection] = set()
        self._opening = 0
        self._line: deque[asyncio.Future[Connection | None]] = deque()
        self._scopes: set[asyncio.Timeout] = set()
        self._spread = 0.0
        self._closed = False
        self._all_ended: asyncio.Future[None] | None = None
        shortest = min(limits.write_s, limits.read_s, limits.total_s, limits.keepalive_s)
        self._look_every_s = min(
            max(shortest / _LOOKS_PER_LIMIT, _LOOK_EVERY_MIN_S), _LOOK_EVERY_MAX_S
        )
        self._timer: asyncio.TimerHandle | None = None
        self.time = self._loop.time

    def idle(self) -> Connection | None:
        """An open connection that carries nothing."""
        idle = self._idle
        while idle:
            connection = idle.pop()
            if connection.ready():
                return connection
            connection.abort()
        return None

    async def another(self, began: float) -> Connection:
        """A connection when none is idle, for a request that was given at `began`.

        Raises:
            NotConnected: None can be had in time, or the wire is closed.
        """
        scope = asyncio.timeout_at(began + self._limits.total_s)
        try:
            async with scope:
                self._scopes.add(scope)
                if self._closed:
                    raise NotConnected(NoAnswer.BROKEN, CLOSED.detail)
                # Who comes when somebody waits already stands behind them, even if there is room:
                # else a request could be passed by others until its time is over. What ends the
                # wait:
                #
                #     a connection was released   used, unless something unread is on it: then it is
                #                                 closed, and the wait begins again
                #     None: there is room         one is opened; `_admit` has counted it already
                while not (self._has_room() and not self._line):
                    released = await self._released()
                    if released is None:
                        break
                    if released.ready():
                        return released
                    released.abort()
                else:
                    self._opening += 1
                return await self._opened()
        except TimeoutError:
            if self._closed:
                raise NotConnected(NoAnswer.BROKEN, CLOSED.detail) from None
            raise NotConnected(
                NoAnswer.TIMEOUT,
                f"timeout: no free connection within {self._limits.total_s:g} s "
                "(tracking.total_timeout_s, tracking.connections_max)",
            ) from None
        finally:
            self._scopes.discard(scope)

    async def close(self) -> None:
        """Close all; requests under way are answered `CLOSED`. Waits until they are gone."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for scope in self._scopes:
            if not scope.expired():
                scope.reschedule(self._loop.time())
        for connection in tuple(self._open):
            connection.give_up(CLOSED)
        self._idle.clear()
        if self._open:
            if self._all_ended is None:
                self._all_ended = self._loop.create_future()
            await asyncio.wait([self._all_ended], timeout=_END_WITHIN_S)

    # -- told by connections --------------------------------------------------------------------

    def released(self, connection: Connection) -> None:
        """It may carry another request."""
        while self._line:
            waiter = self._line.popleft()
            if not waiter.done():
                waiter.set_result(connection)
                return
        self._idle.append(connection)

    def ended(self, connection: Connection) -> None:
        """It is closed."""
        self._open.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)
        self._admit()
        if not self._open and self._all_ended is not None and not self._all_ended.done():
            self._all_ended.set_result(None)

    # -- inside ---------------------------------------------------------------------------------

    def _has_room(self) -> bool:
        return len(self._open) + self._opening < self._max

    def _admit(self) -> None:
        """Let those in line open connections, as far as there is room."""
        while self._line and self._has_room():
            waiter = self._line.popleft()
            if not waiter.done():
                self._opening += 1
                waiter.set_result(None)

    async def _released(self) -> Connection | None:
        """Wait in line for a connection, or (None) for room to open one."""
        waiter: asyncio.Future[Connection | None] = self._loop.create_future()
        self._line.append(waiter)
        try:
            return await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled():
                # Without this a connection, or the room for one, would be lost with each such
                # request.
                # It came at the same time as the end of waiting: it is the next one's.
                got = waiter.result()
                if got is not None:
                    self.released(got)
                else:
                    self._opening -= 1
                    self._admit()
            raise

    async def _opened(self) -> Connection:
        make: Callable[[], Connection] = partial(
            Connection, self, self._limits, self._memo, self._loop.time() + self._next_age_s()
        )
        try:
            connection = await self._dialer.open(make)
            if self._closed or not connection.is_open:
                connection.abort()
                raise NotConnected(
                    NoAnswer.BROKEN,
                    CLOSED.detail
                    if self._closed
                    else "the server closed the connection as soon as it was open",
                )
            self._open.add(connection)
        finally:
            self._opening -= 1
            self._admit()
        self._arm()
        return connection

    def _next_age_s(self) -> float:
        """A little less than the maximum, each time another: they do not all end together."""
        self._spread = (self._spread + _GOLDEN) % 1.0
        return self._age_max_s * (1 - _AGE_SPREAD * self._spread)

    def _arm(self) -> None:
        if self._timer is None and not self._closed:
            self._timer = self._loop.call_later(self._look_every_s, self._look)

    def _look(self) -> None:
        self._timer = None
        now = self._loop.time()
        for connection in tuple(self._open):
            connection.look(now)
        if self._open:
            self._arm()
