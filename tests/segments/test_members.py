"""The comparison, against a model that a dictionary and a set can hold."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from relay.segments.database import open_database, transaction
from relay.segments.members import (
    LOTS,
    MINUTE_MS,
    ExpiryPolicy,
    Places,
    apply_rejected,
    apply_sure,
    apply_unsure,
    changes,
    compare,
    load,
    member_count,
    next_places,
    set_apart,
)
from relay.segments.model import Operation

NOW = 1_767_225_600_000
users = st.text(st.sampled_from("abäß\U0001f600 9-"), min_size=1, max_size=3)
policies = st.sampled_from([ExpiryPolicy(0, 0), ExpiryPolicy(100, 50), ExpiryPolicy(100, 0)])
# (earliest end, latest end, sure)
memberships = st.tuples(
    st.sampled_from([0, 10, 60, 200]), st.sampled_from([0, 30]), st.sampled_from([0, 1])
).map(
    lambda m: (
        (NOW + m[0] * MINUTE_MS, NOW + (m[0] + m[1]) * MINUTE_MS, m[2]) if m[0] else (0, 0, m[2])
    )
)
gone = st.just((NOW - 2, NOW - 1, 1))


@pytest.fixture
def db(tmp_path):
    opened = open_database(tmp_path / "ledger.sqlite")
    yield opened
    opened.close()


def fill(db, members):
    with transaction(db):
        db.execute("DELETE FROM members")
        db.execute("DELETE FROM rejected")
        db.executemany(
            "INSERT INTO members VALUES (?, ?, ?, ?)", [(u, *m) for u, m in members.items()]
        )


def stored(db):
    return {row["user"]: tuple(row)[1:] for row in db.execute("SELECT * FROM members")}


def asked_of(db):
    """All changes that fly in ordinary files."""
    return dict(changes(db, LOTS[0]))


def places_of(db, *wanted):
    """The places of these users, who follow one another."""
    rows = db.execute("SELECT place, user FROM changes").fetchall()
    places = [row["place"] for row in rows if row["user"] in wanted]
    return Places(min(places), max(places))


def compared(db, incoming, policy):
    loaded = load(db, incoming)
    with transaction(db):
        return compare(db, loaded, policy, NOW)


@given(
    members=st.dictionaries(users, memberships | gone, max_size=12),
    incoming=st.lists(users | st.none(), max_size=15),
    policy=policies,
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_changes_are_those_of_the_definition(db, members, incoming, policy):
    fill(db, members)
    plan = compared(db, incoming, policy)
    alive = {u: m for u, m in members.items() if not 0 < m[1] <= NOW}
    wanted = {user for user in incoming if user is not None}
    horizon = NOW + policy.renew_before_minutes * MINUTE_MS
    expected = dict.fromkeys(alive.keys() - wanted, Operation.DELETE)
    for user in wanted:
        expires, _, sure = alive.get(user, (None, None, None))
        if (
            expires is None
            or not sure
            or 0 < expires <= horizon
            or (expires == 0) != (policy.minutes == 0)
        ):
            expected[user] = Operation.UPDATE
    assert asked_of(db) == expected
    assert [next_places(db, n, 1) for n in range(len(expected))] == [
        Places(n + 1, n + 1) for n in range(len(expected))
    ]
    assert plan.rows == len(incoming)
    assert plan.without_id == incoming.count(None)
    assert plan.users == len(wanted)
    assert plan.rows == plan.users + plan.repeated + plan.without_id
    assert plan.members == len(alive)
    assert plan.commands == len(expected)
    assert plan.leaving == len(alive.keys() - wanted)
    assert plan.entering == len(wanted - alive.keys())


@given(
    members=st.dictionaries(users, memberships, max_size=12),
    incoming=st.lists(users, max_size=12),
    rejected=st.sets(users, max_size=5),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_was_imported_changes_the_members_and_what_was_rejected_does_not(
    db, members, incoming, rejected
):
    fill(db, members)
    compared(db, incoming, ExpiryPolicy(100, 50))
    asked = asked_of(db)
    alike = {user for user in asked if user in rejected}
    if asked:
        whole = next_places(db, 0, len(asked))
        with transaction(db):
            apart = set_apart(db, whole, alike)
            apply_sure(db, whole, 5, 9)
            apply_rejected(db, apart)
    # The next sync sends them in a file of their own.
    assert {row["user"] for row in db.execute("SELECT * FROM rejected")} == alike
    expected = dict(members)
    for user, operation in asked.items():
        if user in rejected:
            continue
        if operation is Operation.UPDATE:
            expected[user] = (5, 9, 1)
        else:
            expected.pop(user)
    assert stored(db) == expected


def test_a_file_settles_its_own_users_and_no_others(db):
    fill(db, {})
    compared(db, ["a", "b", "c", "d"], ExpiryPolicy(100, 50))
    with transaction(db):
        apply_sure(db, places_of(db, "b", "c"), 5, 9)
    assert set(stored(db)) == {"b", "c"}


def test_in_doubt_everybody_may_be_a_member_and_the_next_sync_sends_them_again(db):
    end = NOW + 1000 * MINUTE_MS
    fill(db, {"stays": (end, end, 1), "leaves": (end, end, 1)})
    compared(db, ["stays", "enters"], ExpiryPolicy(100, 50))
    with transaction(db):
        apply_unsure(db, places_of(db, "enters", "leaves"), NOW + 100 * MINUTE_MS)
    assert {user: row[2] for user, row in stored(db).items()} == {
        "stays": 1, "leaves": 0, "enters": 0,
    }  # fmt: skip
    assert member_count(db) == (3, 2)
    plan = compared(db, ["stays", "enters"], ExpiryPolicy(100, 50))
    assert asked_of(db) == {
        "enters": Operation.UPDATE,
        "leaves": Operation.DELETE,
    }
    assert (plan.again, plan.leaving) == (1, 1)


def test_who_may_have_been_put_in_and_is_not_wanted_any_more_is_taken_out(db):
    fill(db, {})
    compared(db, ["a"], ExpiryPolicy(100, 50))
    with transaction(db):
        apply_unsure(db, places_of(db, "a"), NOW + 100 * MINUTE_MS)
    compared(db, ["b"], ExpiryPolicy(100, 50))
    assert asked_of(db) == {"a": Operation.DELETE, "b": Operation.UPDATE}


def test_a_renewal_must_come_before_the_end():
    with pytest.raises(ValueError, match="renew_before_minutes"):
        ExpiryPolicy(100, 100)
