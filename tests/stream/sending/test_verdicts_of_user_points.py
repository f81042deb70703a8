"""404 means one thing on an endpoint and another on a user point."""

import random

import pytest

from relay.model import (
    Answer,
    Moment,
    Parcel,
    Partition,
    Record,
    Request,
    RequestKind,
    VerdictKind,
)
from relay.stream.engine import Engine
from relay.stream.policy import EnginePolicy
from relay.stream.sending.gate import GateState
from relay.stream.sending.verdicts import DEFAULT_RULES, judge

UNKNOWN = b'{"status":"error","error":"Resource Not Found","error_id":"1"}'
USER_POINT, ACTIVITY = RequestKind.USER_POINT, RequestKind.ACTIVITY


@pytest.mark.parametrize(
    ("status", "body", "about", "kind"),
    [
        (404, UNKNOWN, USER_POINT, VerdictKind.REFUSED),
        (410, UNKNOWN, USER_POINT, VerdictKind.REFUSED),
        (404, UNKNOWN, ACTIVITY, VerdictKind.MISCONFIGURED),
        # A proxy's page: the API has not said that it does not know the user.
        (404, b"<html>no such page</html>", USER_POINT, VerdictKind.MISCONFIGURED),
        (401, UNKNOWN, USER_POINT, VerdictKind.MISCONFIGURED),
        (400, UNKNOWN, USER_POINT, VerdictKind.REFUSED),
        (200, b'{"status":"ok","data":{"$choice_ts":1}}', USER_POINT, VerdictKind.DELIVERED),
    ],
)
def test_an_unknown_user_point_is_refused_and_holds_nobody_else(status, body, about, kind):
    assert judge(Answer(status, body=body), DEFAULT_RULES, 0, about).kind is kind


def _parcel(offset, lane, kind):
    record = Record("t", 0, offset, 0, None, b"x")
    return Parcel(record, lane, Request("PUT", f"/{offset}", b"{}", kind=kind))


def _engine(*parcels):
    waiting = {parcel.record.offset: parcel for parcel in parcels}
    engine = Engine(EnginePolicy(), lambda record, _: waiting[record.offset], random.Random(0))
    engine.custody.assign({Partition("t", 0): None}, 0, 0.0)
    for parcel in parcels:
        engine.admit(parcel.record, Moment(0.0, 0))
    return engine


def test_an_unknown_user_point_is_dead_lettered_alone_while_all_flows():
    engine = _engine(_parcel(0, "a", USER_POINT))
    flight = engine.sender.next_flight(Moment(0.0, 0))
    engine.sender.answered(flight, Answer(404, body=UNKNOWN), Moment(1.0, 0))
    assert engine.sender.destination.gate.state is GateState.FLOWING
    assert [item.letter.code for item in engine.custody.next_letters(9)] == ["http_404"]


def test_while_the_datamart_is_unknown_no_user_point_is_blamed():
    engine = _engine(_parcel(0, "a", ACTIVITY), _parcel(1, "b", USER_POINT))
    endpoint, user_point = (engine.sender.next_flight(Moment(0.0, 0)) for _ in range(2))
    engine.sender.answered(endpoint, Answer(404, body=UNKNOWN), Moment(1.0, 0))
    assert engine.sender.destination.gate.state is GateState.HELD
    engine.sender.answered(user_point, Answer(404, body=UNKNOWN), Moment(1.0, 0))
    assert engine.custody.next_letters(9) == []
