"""Opens connections to the API: the name is looked up again, each address gets its chance.

A name that moves is followed: nothing is remembered for longer than a second, and connections
have a maximum age.
"""

import asyncio
import socket
from collections.abc import Callable
from typing import NamedTuple
from urllib.parse import urlsplit

from relay.model import Answer, NoAnswer
from relay.stream.sending.connection import Connection, why
from relay.stream.sending.details import detail
from relay.stream.sending.tls import TlsFiles

# Seconds for which a name that was looked up is not looked up again: hundreds of connections open
# at once after an outage, and a name that moves is still followed with the next of them.
_FRESH_S = 1.0
_TLS_SHUTDOWN_S = 1.0  # a peer that does not say goodbye is not waited for


class NotConnected(Exception):
    """There is no connection; `answer` says why."""

    def __init__(self, kind: NoAnswer, *said: str) -> None:
        super().__init__(kind)
        self.answer = Answer(0, no_answer=kind, detail=detail(*said))


class _Address(NamedTuple):
    family: int
    host: str


class Dialer:
    """Opens connections to the host and port of one base address."""

    def __init__(self, base_url: str, tls: TlsFiles, connect_timeout_s: float) -> None:
        parts = urlsplit(base_url)
        self._host = parts.hostname or ""
        self._tls = tls if parts.scheme == "https" else None
        self._port = parts.port or (443 if self._tls else 80)
        self._connect_s = connect_timeout_s
        self._found: list[_Address] = []
        self._found_at = 0.0
        self._failed: set[_Address] = set()
        self._looking = asyncio.Lock()

    async def open(self, make: Callable[[], Connection]) -> Connection:
        """A connection to the first address that takes it. Raises `NotConnected`.

        The time is shared out over the addresses: one that swallows packets leaves some for the
        others. An address that failed goes to the end of the row until it works again.
        """
        loop = asyncio.get_running_loop()
        until = loop.time() + self._connect_s
        addresses = await self._addresses(until)
        addresses.sort(key=self._failed.__contains__)
        # Each address gets an equal part of what is left of the time, so the last has some whatever
        # the others did. What is told is the failure of the last one that was tried.
        failure = NotConnected(NoAnswer.CONNECT, f"{self._host} has no address")
        for index, address in enumerate(addresses):
            by = loop.time() + (until - loop.time()) / (len(addresses) - index)
            try:
                connection = await self._connect(address, make, by)
            except NotConnected as error:
                failure = error
                self._failed.add(address)
            else:
                self._failed.discard(address)
                return connection
        raise failure

    async def _connect(
        self, address: _Address, make: Callable[[], Connection], until: float
    ) -> Connection:
        loop = asyncio.get_running_loop()
        where = f"{address.host} port {self._port}"
        try:
            async with asyncio.timeout_at(until):
                if self._tls is None:
                    _, made = await loop.create_connection(make, address.host, self._port)
                else:
                    _, made = await loop.create_connection(
                        make,
                        address.host,
                        self._port,
                        ssl=self._tls.context(loop.time()),
                        server_hostname=self._host,
                        ssl_handshake_timeout=self._connect_s + 1,
                        ssl_shutdown_timeout=_TLS_SHUTDOWN_S,
                    )
        except TimeoutError as error:
            # `TimeoutError` is the kernel's (ETIMEDOUT, with a number) or ours (`timeout_at`,
            # without). Only ours has a setting that can be raised.
            if error.errno:  # the kernel gave up first
                raise NotConnected(NoAnswer.TIMEOUT, f"connecting to {where}", why(error)) from None
            raise NotConnected(
                NoAnswer.TIMEOUT,
                f"timeout: no connection to {where} within {self._connect_s:g} s "
                "(tracking.connect_timeout_s)",
            ) from None
        except (OSError, ValueError) as error:
            problem = "" if self._tls is None else self._tls.problem
            raise NotConnected(
                NoAnswer.CONNECT, f"connecting to {where}", why(error), problem
            ) from None
        return made

    async def _addresses(self, until: float) -> list[_Address]:
        """The addresses of the host, not older than a moment. One look-up at a time."""
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout_at(until), self._looking:
                if not self._found or loop.time() - self._found_at >= _FRESH_S:
                    found = await loop.getaddrinfo(self._host, None, type=socket.SOCK_STREAM)
                    self._found = list(
                        dict.fromkeys(_Address(entry[0], str(entry[4][0])) for entry in found)
                    )
                    self._found_at = loop.time()
                    self._failed.intersection_update(self._found)
        except TimeoutError:
            raise NotConnected(
                NoAnswer.TIMEOUT,
                f"timeout: the name {self._host} was not resolved within {self._connect_s:g} s "
                "(tracking.connect_timeout_s)",
            ) from None
        except (OSError, UnicodeError) as error:
            self._found = []
            raise NotConnected(
                NoAnswer.CONNECT, f"resolving the name {self._host}", why(error)
            ) from None
        return list(self._found)
