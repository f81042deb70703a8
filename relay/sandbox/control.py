"""`/_sandbox/…`: what the sandbox saw, and what it shall do. For tests, the demo and people."""

import re
from collections.abc import AsyncIterator, Iterator
from typing import Any

import orjson
from pydantic import BaseModel, ValidationError
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from relay.sandbox.control_documents import (
    ACTIVITIES_SHOWN,
    ClockMove,
    FaultsInForce,
    HowMany,
    LimiterDone,
    Refused,
    RuleDone,
    Summary,
    TimeNow,
)
from relay.sandbox.faults import FaultPlan, explain
from relay.sandbox.operations import Operation, Operations
from relay.sandbox.state import State

CHUNK_BYTES = 64 * 1024
LIMIT = re.compile("[0-9]{1,9}")


def routes(state: State) -> list[Route]:
    """The routes of the sandbox's own API."""
    control = Control(state)

    def route(path: str) -> Route:
        methods = OPERATIONS[path]

        async def answer(request: Request) -> Response:
            method = "GET" if request.method == "HEAD" else request.method
            response: Response = await methods[method].handler(control, request)
            return response

        return Route(path, answer, methods=list(methods))

    return [route(path) for path in OPERATIONS]


class Control:
    """The handlers, with the state that they show and move."""

    def __init__(self, state: State) -> None:
        self._state = state

    async def summary(self, _: Request) -> Response:
        """Counts of everything that the sandbox saw.

        Order is judged by the sequence number that an event carries in the property `seq` (of
        `$properties`, else of the activity; of the body for a profile or a choice). Events
        without one are judged by `$ts`, apart from the others.
        """
        return _json(Summary.model_validate(self._state.summary()))

    async def activities(self, request: Request) -> Response:
        """The last activities as they came, the newest first."""
        limit = request.query_params.get("limit", str(ACTIVITIES_SHOWN))
        if not LIMIT.fullmatch(limit):
            return _refused("limit must be a whole number of at most nine digits")
        newest = [
            activity
            for datamart in self._state.datamarts.values()
            for activity in datamart.latest(int(limit))
        ]
        return _json_of(newest[: int(limit)])

    async def log(self, _: Request) -> Response:
        """Every request in order of arrival, and what became of it; a JSON object a line."""
        return StreamingResponse(_in_chunks(self._state.journal.lines()), media_type=_LINES)

    async def faults(self, _: Request) -> Response:
        """The plan in force, and what each of its rules did."""
        state = self._state
        return _json(
            FaultsInForce(
                plan=state.plan,
                rules=[RuleDone(in_scope=seen, hits=hits) for seen, hits in state.tallies],
                limiters=[
                    LimiterDone(accepted=limiter.accepted, refused=limiter.refused)
                    for limiter in state.limiters
                ],
            )
        )

    async def set_faults(self, request: Request) -> Response:
        """Put faults in force; an empty object ends them."""
        try:
            self._state.set_faults(FaultPlan.model_validate_json(await request.body()))
        except ValidationError as error:
            return _refused(explain(error))
        return await self.faults(request)

    async def users(self, _: Request) -> Response:
        """Every user with identifiers, profiles, choices and activities; a JSON object a line."""
        return StreamingResponse(_in_chunks(self._user_lines()), media_type=_LINES)

    async def set_clock(self, request: Request) -> Response:
        """Move the time on: sessions close by it."""
        try:
            move = ClockMove.model_validate_json(await request.body())
        except ValidationError as error:
            return _refused(explain(error))
        self._state.clock_offset_ms += move.advance_ms
        return _json(TimeNow(now_ms=self._state.now_ms()))

    async def reset(self, _: Request) -> Response:
        """Forget everything, faults and moved time included."""
        self._state.reset()
        return Response(status_code=204)

    def _user_lines(self) -> Iterator[bytes]:
        now_ms = self._state.now_ms()
        for datamart_id, datamart in list(self._state.datamarts.items()):
            for user in list(datamart.users):
                document = {"datamart_id": datamart_id, **datamart.everything(user, now_ms)}
                yield orjson.dumps(document, option=orjson.OPT_APPEND_NEWLINE)


_LINES = "application/x-ndjson"
_REFUSALS = {400: Refused}
OPERATIONS: Operations = {
    "/_sandbox/summary": {"GET": Operation(Control.summary, Summary)},
    "/_sandbox/activities": {
        "GET": Operation(
            Control.activities, list[dict[str, Any]], query=HowMany, refusals=_REFUSALS
        )
    },
    "/_sandbox/log": {"GET": Operation(Control.log, str, media_type=_LINES)},
    "/_sandbox/faults": {
        "GET": Operation(Control.faults, FaultsInForce),
        "PUT": Operation(Control.set_faults, FaultsInForce, FaultPlan, refusals=_REFUSALS),
    },
    "/_sandbox/users": {"GET": Operation(Control.users, str, media_type=_LINES)},
    "/_sandbox/clock": {
        "PUT": Operation(Control.set_clock, TimeNow, ClockMove, refusals=_REFUSALS)
    },
    "/_sandbox": {"DELETE": Operation(Control.reset)},
}


async def _in_chunks(lines: Iterator[bytes]) -> AsyncIterator[bytes]:
    chunk = bytearray()
    for line in lines:
        chunk += line
        if len(chunk) >= CHUNK_BYTES:
            yield bytes(chunk)
            chunk.clear()
    yield bytes(chunk)


def _json(document: BaseModel) -> Response:
    return _json_of(document.model_dump(mode="json", exclude_defaults=True))


def _json_of(document: object) -> Response:
    return Response(
        orjson.dumps(document, option=orjson.OPT_INDENT_2), media_type="application/json"
    )


def _refused(reason: str) -> Response:
    body = Refused(error=reason).model_dump_json()
    return Response(body, status_code=400, media_type="application/json")
