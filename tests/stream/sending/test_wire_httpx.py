"""What only the httpx wire can do: carry requests over a transport that somebody hands in."""

import httpx
from starlette.applications import Starlette
from starlette.requests import Request as Incoming
from starlette.responses import JSONResponse
from starlette.routing import Route

from relay.model import NoAnswer
from relay.stream.sending.token import StaticToken
from relay.stream.sending.wire import WireKind, WirePolicy
from relay.stream.sending.wire_httpx import HttpxWire
from tests.support.wires import POST, TOKEN

POLICY = WirePolicy(base_url="http://api", wire=WireKind.HTTPX)


async def test_an_app_can_stand_at_the_other_end():
    async def take(request: Incoming) -> JSONResponse:
        said = {"token": request.headers["authorization"], "body": await request.json()}
        return JSONResponse(said, 201)

    app = Starlette(routes=[Route(POST.path, take, methods=["POST"])])
    wire = HttpxWire(POLICY, StaticToken(TOKEN), transport=httpx.ASGITransport(app))
    answer = await wire.send(POST)
    assert answer.status == 201
    assert TOKEN.encode() in answer.body
    assert b"TOUCH" in answer.body
    await wire.close()


async def test_a_defect_of_the_transport_is_an_answer_and_not_an_exception():
    def broken(request: httpx.Request) -> httpx.Response:
        raise KeyError(TOKEN)

    wire = HttpxWire(POLICY, StaticToken(TOKEN), transport=httpx.MockTransport(broken))
    answer = await wire.send(POST)
    assert (answer.no_answer, answer.status) == (NoAnswer.BROKEN, 0)
    assert "KeyError" in answer.detail
    assert TOKEN not in answer.detail
    await wire.close()
