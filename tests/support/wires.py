"""What the tests of the wire share: an open wire, a request, the shape of a failed attempt."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from pydantic import SecretStr

from relay.model import Answer, NoAnswer, Request
from relay.stream.sending.open_wire import open_wire
from relay.stream.sending.token import StaticToken
from relay.stream.sending.wire import Wire, WireKind, WirePolicy
from tests.support.policies import tuned

TOKEN = "api:token-0123456789"
POST = Request("POST", "/v1/datamarts/1/user_activities", b'{"$type":"TOUCH"}')


@asynccontextmanager
async def wire_to(url: str, kind: WireKind, **changes) -> AsyncIterator[Wire]:
    authorization = changes.pop("authorization", StaticToken(TOKEN))
    if (proxy := changes.pop("proxy", None)) is not None:
        changes["proxy"] = SecretStr(proxy)
    wire = open_wire(tuned(WirePolicy, base_url=url, wire=kind, **changes), authorization)
    try:
        yield wire
    finally:
        await wire.close()


def assert_no_answer(answer: Answer, why: NoAnswer, *words: str) -> None:
    """The attempt failed for this reason, says one of the words, and gives nothing away."""
    assert (answer.no_answer, answer.status) == (why, 0), answer
    assert any(word in answer.detail.lower() for word in words), answer.detail
    assert "\n" not in answer.detail
    assert TOKEN not in answer.detail
    assert POST.path not in answer.detail
