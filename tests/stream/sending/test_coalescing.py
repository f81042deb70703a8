"""What may travel together, and that a key stands for exactly what travels under it."""

import re
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.model import Activity
from relay.stream.sending.coalescing import CoalescingPolicy, Load, merge
from tests.support.policies import tuned

KEY = "1d4a3c00-e7a2-11f0-8000-0123456789ab"


def activity(number=0, **changes):
    values = {
        "envelope": b'{"$type":"APP_VISIT"}',
        "ts_ms": 1_000 + number,
        "unique_key": f"{number:08x}-e7a2-11f0-8000-0123456789ab",
        "events": (b'{"n":%d}' % number,),
        "user": "u",
        "mergeable": True,
    }
    return Activity(**{**values, **changes})


@pytest.mark.parametrize(
    ("changes", "together"),
    [
        ({}, True),
        ({"envelope": b'{"$type":"TOUCH"}'}, False),
        ({"envelope": b'{"$type": "APP_VISIT"}'}, False),
        ({"mergeable": False}, False),
        ({"ts_ms": 61_000}, True),
        ({"ts_ms": 61_001}, False),
        ({"ts_ms": -59_001}, False),
        ({"events": (b"{}",) * 9}, True),
        ({"events": (b"{}",) * 10}, False),
        ({"events": (b"x" * 93,)}, True),
        ({"events": (b"x" * 94,)}, False),
    ],
)
def test_only_equal_envelopes_within_the_limits_join(changes, together):
    policy = tuned(CoalescingPolicy, events_max=10, span_s=60, bytes_max=100)
    assert Load(policy, activity(0)).takes(activity(**{"ts_ms": 1_000, **changes})) is together


def test_a_first_that_must_travel_alone_is_joined_by_nobody():
    assert not Load(CoalescingPolicy(), activity(0, mergeable=False)).takes(activity(1))


def test_limits_are_about_the_sum():
    load = Load(tuned(CoalescingPolicy, events_max=3, bytes_max=100), activity(0))
    assert load.takes(activity(1))
    assert not load.takes(activity(2, events=(b"x" * 90,)))  # and leaves room for another
    assert load.takes(activity(2))
    assert not load.takes(activity(3))


def test_together_they_are_one_activity_with_all_events_in_order():
    merged = merge([activity(n) for n in (3, 4, 5)])
    assert merged.events == (b'{"n":3}', b'{"n":4}', b'{"n":5}')
    assert merged.ts_ms == 1_003
    assert merged.envelope == activity().envelope


MEMBERS = st.lists(st.integers(0, 30), min_size=2, max_size=6, unique=True)


@given(MEMBERS, MEMBERS)
def test_the_key_is_a_function_of_all_members_and_of_nothing_else(some, others):
    """A platform that ignores a known key would lose what joined under the key of another set."""
    one, other = (merge([activity(n) for n in numbers]).unique_key for numbers in (some, others))
    assert (one == other) == (some == others)


@given(MEMBERS)
def test_the_key_is_none_of_the_members_and_of_version_1(numbers):
    members = [activity(n) for n in numbers]
    key = merge(members).unique_key
    assert key not in {member.unique_key for member in members}
    assert re.fullmatch(r"[0-9a-f]{8}-[0-9a-f]{4}-1[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", key)
    assert uuid.UUID(key).time == uuid.UUID(members[0].unique_key).time


def test_without_a_key_for_each_there_is_none_for_all():
    assert merge([activity(0), activity(1, unique_key=None)]).unique_key is None
