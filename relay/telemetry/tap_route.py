"""`GET /tap`: samples of what flows, one JSON object a line, for as long as somebody reads.

Shapes only, unless the request has the token of the page and asks for `content=exact`.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from relay.telemetry.access import Access
from relay.telemetry.account_digest import AccountDigest, digest_from
from relay.telemetry.page import HEADERS, guarded

RATE_MAX = 100.0
"""Samples a second, whoever asks for more."""
_WAITING_MAX = 100  # samples for one reader: a second of the highest rate
_ALIVE_EVERY_S = 5.0  # an empty line this often: a reader that is gone is noticed by it

Sample = dict[str, Any]
Close = Callable[[], None]


@dataclass(slots=True)
class SampleFilter:
    """What one listener wants to see. What is empty does not restrict."""

    topic: str = ""
    code: str = ""
    destination: str = ""
    account: AccountDigest | None = field(default=None, repr=False)
    rate: float = 10.0
    """Samples a second at most."""
    exact: bool = False
    """Show content as it is, not only its shape."""


OpenTap = Callable[[SampleFilter, Callable[[Sample], None]], Close | None]
"""Hands samples to the second argument until what is returned is called; None: too many look."""


def tap_route(access: Access, open_tap: OpenTap) -> Route:
    """The route; who may look at the page may look here."""

    async def tap(request: Request) -> Response:
        try:
            wanted = _wanted(request)
        except ValueError as error:
            return Response(f"{error}\n", 400, HEADERS)
        if wanted.exact and not access.may_act(request.headers, request.cookies):
            return Response("content=exact needs the token of admin.token\n", 401, HEADERS)
        headers = {**HEADERS, "content-type": "application/x-ndjson"}
        return StreamingResponse(_lines(open_tap, wanted), headers=headers)

    return Route("/tap", guarded(access, tap))


async def _lines(open_tap: OpenTap, wanted: SampleFilter) -> AsyncIterator[bytes]:
    """The samples; an empty line where none comes, so that a reader that is gone is noticed.

    Opened here and not before: what was never begun would never be closed.
    """
    samples: asyncio.Queue[Sample] = asyncio.Queue(_WAITING_MAX)

    def take(sample: Sample) -> None:
        if not samples.full():  # a reader that does not keep up misses samples
            samples.put_nowait(sample)

    close = open_tap(wanted, take)
    if close is None:
        yield b'{"refused":"too many are looking already"}\n'
        return
    try:
        yield b"\n"
        while True:
            try:
                async with asyncio.timeout(_ALIVE_EVERY_S):
                    sample = await samples.get()
            except TimeoutError:
                yield b"\n"
                continue
            yield orjson.dumps(sample, option=orjson.OPT_NON_STR_KEYS) + b"\n"
    finally:
        close()


def _wanted(request: Request) -> SampleFilter:
    asked = request.query_params
    unknown = set(asked) - {"topic", "code", "destination", "account_digest", "rate", "content"}
    if unknown:
        raise ValueError(f"unknown: {', '.join(sorted(unknown))}")
    account = asked.get("account_digest")
    rate = float(asked.get("rate", "10"))
    if not 0 < rate <= RATE_MAX:
        raise ValueError(f"rate: above 0, at most {RATE_MAX:g}")
    content = asked.get("content", "shape")
    if content not in ("shape", "exact"):
        raise ValueError("content: shape or exact")
    return SampleFilter(
        topic=asked.get("topic", ""),
        code=asked.get("code", ""),
        destination=asked.get("destination", ""),
        account=digest_from(account) if account else None,
        rate=rate,
        exact=content == "exact",
    )
