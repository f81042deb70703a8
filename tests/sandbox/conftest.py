"""The sandbox in the test's own process, and a caller for it."""

import asyncio
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from relay.sandbox.app import create_app
from relay.sandbox.options import SandboxOptions

ACTIVITIES = "/v1/datamarts/1234/user_activities"


class SteppedClock:
    def __init__(self) -> None:
        self.ms = 1_767_225_600_000

    def now_ms(self) -> int:
        return self.ms


class Api:
    """Calls the sandbox without a socket."""

    def __init__(self, options: SandboxOptions) -> None:
        self.clock = SteppedClock()
        self.app: Starlette = create_app(options, self.clock)
        self.client = httpx.AsyncClient(
            transport=httpx.ASGITransport(app=self.app),
            base_url="http://sandbox",
            headers={"Authorization": "token"},
        )

    async def post(self, activity: Any, **kwargs: Any) -> httpx.Response:
        return await self.client.post(ACTIVITIES, json=activity, **kwargs)

    async def summary(self) -> dict[str, Any]:
        return (await self.client.get("/_sandbox/summary")).json()

    async def faults(self, *rules: dict[str, Any], **plan: Any) -> None:
        answer = await self.client.put("/_sandbox/faults", json={"rules": rules, **plan})
        assert answer.status_code == 200, answer.text

    async def log(self) -> list[dict[str, Any]]:
        answer = await self.client.get("/_sandbox/log")
        return [httpx.Response(200, text=line).json() for line in answer.text.splitlines()]


@pytest.fixture
def make_api():
    """Build a sandbox with options."""

    def make(**options: Any) -> Api:
        return Api(SandboxOptions(**options))

    return make


@pytest.fixture
def api(make_api) -> Api:
    return make_api()


@pytest.fixture
def activity():
    """Build a valid activity; keyword arguments replace its fields, `seq` and `account` short."""

    def build(*, account: str = "a-1", seq: int | None = None, **fields: Any) -> dict[str, Any]:
        properties = {} if seq is None else {"seq": seq}
        return {
            "$ts": 1_767_225_600_000,
            "$type": "APP_VISIT",
            "$session_status": "NO_SESSION",
            "$app_id": "1023",
            "$user_identifiers": [
                {"$type": "USER_ACCOUNT", "$compartment_id": "1000", "$user_account_id": account}
            ],
            "$events": [
                {"$ts": 1_767_225_600_000, "$event_name": "seen", "$properties": properties}
            ],
        } | {"$" + name: value for name, value in fields.items()}

    return build


@pytest.fixture
def key():
    """A `$unique_key` that is different for each number."""

    def build(number: int) -> str:
        return f"{number:08x}-e6a1-11f0-8c11-0242ac120002"

    return build


@pytest.fixture
def until():
    """Wait, within this process, for a condition."""

    async def wait(condition: Callable[[], Any]) -> None:
        while not condition():  # noqa: ASYNC110 - the condition is another's state, not an event
            await asyncio.sleep(0)

    return wait
