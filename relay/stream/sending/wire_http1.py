"""The wire of our own: HTTP/1.1 in the event loop's thread, the default of `relay run`.

It has no thread and no task of its own, and writes a request in one piece. Why it is ours:
docs/adr/0006-own-wire.md. The parts, from the bytes upwards:

    http1.py        requests and answers as bytes
    connection.py   one request at a time, and why there is no answer
    dialing.py      names, addresses, TLS
    pool.py         which connection carries the next request; the timer
"""

import asyncio

from relay.model import Answer, NoAnswer, Request
from relay.stream.sending.connection import Limits
from relay.stream.sending.dialing import Dialer, NotConnected
from relay.stream.sending.http1 import RequestHeads, Unsendable
from relay.stream.sending.pool import CLOSED, Pool
from relay.stream.sending.tls import TlsFiles
from relay.stream.sending.token import Authorization
from relay.stream.sending.wire import WirePolicy

_NOT_ALLOWED = (401, 403)


class Http1Wire:
    """Sends over connections of its own. Its first request binds it to an event loop."""

    def __init__(self, policy: WirePolicy, authorization: Authorization) -> None:
        """Raises `SettingsError`: an address or a file that cannot be used."""
        self._policy = policy
        self._authorization = authorization
        self._heads = RequestHeads(policy.base_url, policy.user_agent)
        self._tls = TlsFiles(policy.ca_file, policy.client_cert_file, policy.client_key_file)
        self._pool: Pool | None = None
        self._closed = False

    async def send(self, request: Request) -> Answer:
        """One attempt."""
        if self._closed:
            return CLOSED
        pool = self._pool or self._opened()
        now = pool.time()
        try:
            head = self._heads.of(request, self._authorization.header(now))
            body = request.body
            data = b"%b%d\r\n\r\n%b" % (head, len(body), body)
            began = now
            connection = pool.idle()
            if connection is None:
                connection = await pool.another(began)
                now = pool.time()
            waiting = connection.send(data, began, now, head_only=request.method == "HEAD")
        except NotConnected as error:
            return error.answer
        except Unsendable as error:
            return Answer(0, no_answer=NoAnswer.BROKEN, detail=str(error))
        except Exception as error:  # noqa: BLE001 - a defect of ours never costs a record
            return Answer(0, no_answer=NoAnswer.BROKEN, detail=f"a defect: {type(error).__name__}")
        try:
            answer = await waiting
        except asyncio.CancelledError:
            connection.abandon(waiting)
            raise
        if answer.status in _NOT_ALLOWED and (problem := self._authorization.problem) is not None:
            return answer._replace(detail=problem)
        return answer

    async def close(self) -> None:
        """Ends all connections."""
        self._closed = True
        if self._pool is not None:
            await self._pool.close()

    def _opened(self) -> Pool:
        policy = self._policy
        self._pool = Pool(
            Dialer(policy.base_url, self._tls, policy.connect_timeout_s),
            Limits(
                policy.write_timeout_s,
                policy.read_timeout_s,
                policy.total_timeout_s,
                policy.keepalive_s,
                policy.response_bytes_max,
            ),
            connections_max=policy.connections_max,
            age_max_s=policy.connection_max_age_s,
        )
        return self._pool
