"""Identifiers that meet become one user."""

import random

from hypothesis import given
from hypothesis import strategies as st

from relay.sandbox.user_points import Identifier, UserPoints, identifiers_of


def account(value: str) -> Identifier:
    return Identifier("USER_ACCOUNT", "1000", value)


def points() -> UserPoints:
    return UserPoints(random.Random(1))


def test_an_unknown_identifier_makes_a_user():
    users = points()
    users.meet([account("a")], 5)
    users.meet([account("b")], 6)
    assert len(users) == 2


def test_a_known_identifier_finds_its_user():
    users = points()
    first = users.meet([account("a")], 5)
    assert users.meet([account("a"), account("b")], 6) is first
    assert users.find(account("b")) is first


def test_users_merge_into_the_oldest_when_their_identifiers_meet():
    users = points()
    old, young = users.meet([account("a")], 1), users.meet([account("b")], 2)
    old.posts, young.posts = [1, 4], [2]
    assert users.meet([account("b"), account("a")], 3) is old
    assert list(users) == [old]
    assert old.posts == [1, 2, 4]
    assert users.merged == 1


def test_an_id_that_was_merged_away_leads_to_the_survivor():
    users = points()
    a, b, c = (users.meet([account(name)], 1) for name in "abc")
    users.meet([account("b"), account("c")], 2)
    users.meet([account("a"), account("c")], 3)
    assert users.by_id(c.id) is users.by_id(b.id) is users.by_id(a.id) is a


@given(st.lists(st.lists(st.integers(0, 12), min_size=1, max_size=3), max_size=30))
def test_users_are_the_connected_groups_of_identifiers(meetings):
    users = points()
    groups: list[set[int]] = []
    for meeting in meetings:
        users.meet([account(str(n)) for n in meeting], 0)
        touched = [g for g in groups if g & set(meeting)]
        groups = [g for g in groups if not g & set(meeting)] + [set(meeting).union(*touched)]
    assert len(users) == len(groups)
    for group in groups:
        owners = [users.find(account(str(n))) for n in group]
        assert len({owner.id for owner in owners if owner}) == 1


def test_identifiers_are_read_in_both_documented_forms():
    activity = {
        "$user_identifiers": [
            {"$type": "USER_ACCOUNT", "$user_account_id": "a"},
            {"$type": "USER_ACCOUNT", "$compartment_id": 17, "$user_account_id": 5},
            {"$type": "USER_EMAIL", "$hash": "h"},
            {"$type": "USER_AGENT", "$user_agent_id": "vec:1"},
        ],
        "$user_account_id": "b",
        "$compartment_id": "18",
        "$user_agent_id": "vec:2",
        "$email_hash": {"$hash": "i"},
    }
    assert [str(identifier) for identifier in identifiers_of(activity, "1000")] == [
        "USER_ACCOUNT:1000:a",
        "USER_ACCOUNT:17:5",
        "USER_EMAIL:h",
        "USER_AGENT:vec:1",
        "USER_ACCOUNT:18:b",
        "USER_AGENT:vec:2",
        "USER_EMAIL:i",
    ]
