"""`/_sandbox/…`: what the sandbox saw, and what it shall do. For tests, the demo and people."""

import re
from collections.abc import AsyncIterator, Iterator

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from relay.sandbox.faults import FaultPlan, explain
from relay.sandbox.state import State

ACTIVITIES_SHOWN = 100
CHUNK_BYTES = 64 * 1024
LIMIT = re.compile("[0-9]{1,9}")


def routes(state: State) -> list[Route]:
    """The routes of the sandbox's own API."""
    control = Control(state)
    return [
        Route("/_sandbox/summary", control.summary, methods=["GET"]),
        Route("/_sandbox/activities", control.activities, methods=["GET"]),
        Route("/_sandbox/log", control.log, methods=["GET"]),
        Route("/_sandbox/faults", control.faults, methods=["GET", "PUT"]),
        Route("/_sandbox/users", control.users, methods=["GET"]),
        Route("/_sandbox/clock", control.set_clock, methods=["PUT"]),
        Route("/_sandbox", control.reset, methods=["DELETE"]),
    ]


class Control:
    """The handlers, with the state that they show and move."""

    def __init__(self, state: State) -> None:
        self._state = state

    async def summary(self, _: Request) -> Response:
        """Counts of everything. How order is judged: `relay.sandbox.order`."""
        return _json(self._state.summary())

    async def activities(self, request: Request) -> Response:
        """The last stored activities, the newest first."""
        limit = request.query_params.get("limit", str(ACTIVITIES_SHOWN))
        if not LIMIT.fullmatch(limit):
            return _refused("limit must be a whole number of at most nine digits")
        newest = [
            activity
            for datamart in self._state.datamarts.values()
            for activity in datamart.latest(int(limit))
        ]
        return _json(newest[: int(limit)])

    async def log(self, _: Request) -> Response:
        """Every request in order of arrival, a JSON object a line."""
        return StreamingResponse(
            _in_chunks(self._state.journal.lines()), media_type="application/x-ndjson"
        )

    async def faults(self, request: Request) -> Response:
        """The plan in force and what its rules did; a PUT puts one in force first."""
        state = self._state
        if request.method == "PUT":
            try:
                state.set_faults(FaultPlan.model_validate_json(await request.body()))
            except ValidationError as error:
                return _refused(explain(error))
        return _json(
            {
                "plan": state.plan.model_dump(mode="json", exclude_defaults=True),
                "rules": [tally._asdict() for tally in state.tallies],
                "limiters": [
                    {"accepted": limiter.accepted, "refused": limiter.refused}
                    for limiter in state.limiters
                ],
            }
        )

    async def users(self, _: Request) -> Response:
        """Every user with profiles, choices and events, a JSON object a line."""
        return StreamingResponse(_in_chunks(self._user_lines()), media_type="application/x-ndjson")

    async def set_clock(self, request: Request) -> Response:
        """Move the sandbox's time: sessions close by it."""
        try:
            move = ClockMove.model_validate_json(await request.body())
        except ValidationError as error:
            return _refused(explain(error))
        self._state.clock_offset_ms += move.advance_ms
        return _json({"now_ms": self._state.now_ms()})

    async def reset(self, _: Request) -> Response:
        """Forget everything."""
        self._state.reset()
        return Response(status_code=204)

    def _user_lines(self) -> Iterator[bytes]:
        now_ms = self._state.now_ms()
        for datamart_id, datamart in list(self._state.datamarts.items()):
            for user in list(datamart.users):
                document = {"datamart_id": datamart_id, **datamart.everything(user, now_ms)}
                yield orjson.dumps(document, option=orjson.OPT_APPEND_NEWLINE)


class ClockMove(BaseModel):
    """How far the sandbox's time moves on."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    advance_ms: int = Field(ge=0, le=10 * 365 * 24 * 3_600_000)


async def _in_chunks(lines: Iterator[bytes]) -> AsyncIterator[bytes]:
    chunk = bytearray()
    for line in lines:
        chunk += line
        if len(chunk) >= CHUNK_BYTES:
            yield bytes(chunk)
            chunk.clear()
    yield bytes(chunk)


def _json(document: object) -> Response:
    return Response(
        orjson.dumps(document, option=orjson.OPT_INDENT_2), media_type="application/json"
    )


def _refused(reason: str) -> Response:
    return Response(orjson.dumps({"error": reason}), status_code=400, media_type="application/json")
