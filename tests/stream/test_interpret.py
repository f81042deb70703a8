"""Bytes to parcel in one step, and which lane each order keeps to."""

import orjson
import pytest

from relay.model import (
    Activity,
    Parcel,
    Record,
    Request,
    RequestKind,
    Undecodable,
    Unmappable,
)
from relay.stream.decoding import DecodingPolicy
from relay.stream.interpret import InterpretPolicy, OrderBy, interpreter
from relay.stream.mapping import MappingPolicy
from relay.stream.mapping.policy import IdentityPolicy

NOW_MS = 1_767_225_600_000


def interpret(order_by="user", *, key=b"k", value=None, partition=0, user="alice"):
    event = {
        "type": "track",
        "id": "1",
        "ts": NOW_MS,
        "user": {"accounts": [{"id": user}]} if user else {},
        "session_status": "IN_SESSION",
        "event": "login",
    }
    policy = InterpretPolicy(
        DecodingPolicy(),
        MappingPolicy(identity=IdentityPolicy(default_compartment_id="1")),
        OrderBy(order_by),
    )
    body = orjson.dumps(event) if value is None else value
    return interpreter(policy)(Record("events", partition, 7, NOW_MS, key, body), NOW_MS)


def test_a_good_record_becomes_a_parcel_with_its_activity():
    parcel = interpret()
    assert isinstance(parcel, Parcel)
    assert isinstance(parcel.payload, Activity)
    assert parcel.record.offset == 7


def test_a_put_keeps_to_the_lane_of_its_users_activities():
    choice = {
        "type": "choice",
        "id": "2",
        "ts": NOW_MS,
        "user": {"accounts": [{"id": "alice"}]},
        "route": "user_choices",
        "processing_id": "7",
        "accepted": True,
    }
    put = interpret(value=orjson.dumps(choice))
    assert isinstance(put.payload, Request)
    assert put.payload.kind is RequestKind.USER_POINT
    assert put.lane == interpret().lane != interpret(user="bob").lane


@pytest.mark.parametrize("value", [b"", b"nonsense", b"[]", b'{"type":"unknown"}'])
def test_what_is_no_event_is_undecodable(value):
    assert isinstance(interpret(value=value), Undecodable)


def test_an_event_of_nobody_is_unmappable():
    assert isinstance(interpret(user=None), Unmappable | Undecodable)


@pytest.mark.parametrize(
    ("order_by", "change", "same"),
    [
        ("user", {"key": b"other"}, True),
        ("user", {"partition": 1}, True),
        ("user", {"user": "bob"}, False),
        ("key", {"user": "bob"}, True),
        ("key", {"partition": 1}, True),
        ("key", {"key": b"other"}, False),
        ("partition", {"user": "bob", "key": b"other"}, True),
        ("partition", {"partition": 1}, False),
    ],
)
def test_the_lane_is_what_keeps_its_order_and_nothing_else(order_by, change, same):
    lane = interpret(order_by).lane
    assert lane is not None
    assert (interpret(order_by, **change).lane == lane) is same


@pytest.mark.parametrize(("order_by", "change"), [("none", {}), ("key", {"key": None})])
def test_what_has_nothing_to_be_in_order_with_has_no_lane(order_by, change):
    assert interpret(order_by, **change).lane is None


def test_an_empty_key_is_a_key():
    assert interpret("key", key=b"").lane is not None


def test_a_lane_does_not_name_the_user():
    assert "alice" not in repr(interpret().lane)
