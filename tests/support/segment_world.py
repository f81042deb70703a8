"""The vendors' side of the segment road: the sandbox over real HTTP, on a clock that tests move.

Waiting costs no time: whoever sleeps moves the sandbox's clock, so hours pass in milliseconds.
"""

import asyncio
import json
import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest_asyncio

from relay.apis.addresses import PATHS, Credentials
from relay.apis.caller import Caller, CallRetryPolicy
from relay.apis.clients import TokenAuth, open_client
from relay.apis.digital_audience import HINTS as AUDIENCE_HINTS
from relay.apis.digital_audience import DigitalAudience
from relay.apis.mediarithmics_document_imports import DocumentImports, error_words
from relay.apis.mparticle_segments import HINTS, MparticleSegments
from relay.sandbox.app import create_app
from relay.sandbox.options import SandboxOptions
from relay.sandbox.server import serve

TOKEN = "token-1"
API_KEY = "5a6646c4-ae5a-4de4-9d47-eb6f228405b2"
START_MS = 1_767_225_600_000
ACCESS_TOKEN = "nux06hkn870v0ni4fhtd81kf"


class MovedClock:
    """Stands still until somebody waits."""

    def __init__(self) -> None:
        self.ms = START_MS
        self.steady_s = 1000.0
        self.waits: list[float] = []

    def now_ms(self) -> int:
        return self.ms

    def steady(self) -> float:
        return self.steady_s

    async def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.steady_s += seconds
        self.ms += int(seconds * 1000)
        await asyncio.sleep(0)


class World:
    """The sandbox, and clients that call it.

    They verify no certificate: loading the authorities takes longer than a test, and there is no
    TLS here.
    """

    def __init__(self, url: str, clock: MovedClock, stack: AsyncExitStack, app: Any) -> None:
        self.url = url
        self.clock = clock
        self.state = app.state.sandbox
        self._stack = stack
        self.start = datetime.fromtimestamp(START_MS / 1000, UTC)
        self.admin: httpx.AsyncClient

    async def put(self, path: str, **options: Any) -> None:
        answer = await self.admin.put(f"/_sandbox/{path}", json=options)
        assert answer.status_code == 200, answer.text

    async def faults(self, *rules: dict[str, Any], **plan: Any) -> None:
        await self.put("faults", rules=rules, **plan)

    async def set_export(self, segment_id: str, content: bytes, **query: str) -> None:
        answer = await self.admin.put(
            f"/_sandbox/mparticle/segments/{segment_id}", content=content, params=query
        )
        assert answer.status_code == 204

    async def exports(self) -> list[dict[str, Any]]:
        return (await self.admin.get("/_sandbox/mparticle/exports")).json()

    async def uploads(self) -> list[dict[str, Any]]:
        return (await self.admin.get("/_sandbox/imports/executions")).json()

    async def members(self, segment: str, kind: str = "id") -> dict[str, int | None]:
        """Identifier → when it ends, of a segment."""
        answer = await self.admin.get(f"/_sandbox/segments/{kind}/{segment}")
        found = [json.loads(line) for line in answer.text.splitlines()]
        return {member["user"][2]: member["expires_ms"] for member in found}

    async def requests(self) -> list[tuple[str, str, int | None]]:
        """Method, path and status of every call, in order."""
        answer = await self.admin.get("/_sandbox/log")
        entries = [json.loads(line) for line in answer.text.splitlines()]
        return [(entry["method"], entry["path"], entry["status"]) for entry in entries]

    async def imports(self, token: str = TOKEN, datamart: str = "1234") -> DocumentImports:
        client = await self._client(
            open_client(self.url, auth=TokenAuth(lambda: token), verify=False)
        )
        return DocumentImports(self._caller("mediarithmics", client, words=error_words), datamart)

    async def mparticle(self, key: str = API_KEY, token: str = ACCESS_TOKEN) -> MparticleSegments:
        auth = httpx.BasicAuth(key, token)
        client = await self._client(open_client(self.url, auth=auth, verify=False))
        return MparticleSegments(self._caller("mParticle", client, hints=HINTS, faults_final=True))

    async def audience(
        self, password: str = "pw", cookie: str | None = None, **paths: str
    ) -> DigitalAudience:
        client = await self._client(open_client(self.url, verify=False))
        caller = self._caller("Digital Audience", client, hints=AUDIENCE_HINTS)
        return DigitalAudience(caller, Credentials("user", password, cookie), PATHS | paths)

    async def _client(self, client: httpx.AsyncClient) -> httpx.AsyncClient:
        return await self._stack.enter_async_context(client)

    def _caller(self, vendor: str, client: httpx.AsyncClient, **options: Any) -> Caller:
        return Caller(
            vendor,
            client,
            random.Random(1),
            retry=CallRetryPolicy(attempts=4),
            sleep=self.clock.sleep,
            clock=self.clock,
            **options,
        )


@asynccontextmanager
async def world(**options: Any) -> AsyncIterator[World]:
    """A world with its own sandbox."""
    clock = MovedClock()
    app = create_app(SandboxOptions(tokens=frozenset({TOKEN}), **options), clock)
    async with AsyncExitStack() as stack:
        url = await stack.enter_async_context(serve(app))
        made = World(url, clock, stack, app)
        made.admin = await stack.enter_async_context(
            httpx.AsyncClient(base_url=url, headers={"Authorization": TOKEN}, verify=False)
        )
        yield made


@pytest_asyncio.fixture(name="world")
async def _world() -> AsyncIterator[World]:
    async with world() as made:
        yield made
