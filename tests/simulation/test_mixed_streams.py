"""Whatever route each event takes and whatever fails: users end as a plain fold leaves them.

A failure prints the seed; `Mix.of(seed)` is the same run again, to the last random draw.
"""

from dataclasses import replace

import pytest

from relay.sandbox.options import RepeatPolicy
from tests.support.simulation.mixed import Mix, MixedWorld, State, events, fold


def check(mix):
    world = MixedWorld(mix).run()
    seed = f"seed {mix.seed}: {mix}"
    assert world.settled_at is not None, seed
    assert world.unbalanced == 0, seed
    assert len({letter.record.position for letter in world.letters.written}) == world.to_nobody()
    stored, expected = world.stored(), fold(world.documents)
    assert stored.keys() == expected.keys(), seed
    for user, state in expected.items():
        assert stored[user] == state, f"{seed}: {user}"
    summary = world.sandbox.summary()
    assert summary["out_of_order"] == 0, seed
    return world


@pytest.mark.parametrize("seed", range(8))
def test_a_mixed_stream_leaves_each_user_as_a_plain_fold_does(seed):
    world = check(Mix.of(seed))
    assert any(tally.hits for tally in world.sandbox.tallies)


@pytest.mark.storm(cases=6)
@pytest.mark.timeout(600)
@pytest.mark.parametrize("seed", range(1000, 1050))
def test_a_mixed_stream_of_5000_events_leaves_200_users_as_a_plain_fold_does(seed):
    check(Mix.of(seed, events=5000, users=200, produce_s=20.0))


BACKLOG = Mix(7, events=1000, users=50, produce_s=0.0, by_put=0.0)


@pytest.mark.parametrize("repeats", list(RepeatPolicy))
def test_with_a_backlog_of_20_events_a_user_coalescing_saves_four_requests_of_five(repeats):
    each = check(replace(BACKLOG, coalesce=1, repeats=repeats))
    joined = check(replace(BACKLOG, coalesce=50, repeats=repeats))
    assert each.sandbox.summary()["activities"] == 1000
    requests = [world.sandbox.summary()["requests"] for world in (each, joined)]
    assert requests[0] >= 5 * requests[1], requests


def test_the_mix_has_every_kind_route_and_strategy():
    documents = events(Mix.of(0, events=5000, users=200))
    kinds = {(d["type"], d.get("route"), d.get("update_strategy")) for d in documents}
    assert len({kind for kind, _, _ in kinds}) == 3
    assert len([kind for kind in kinds if kind[1] == "user_profiles"]) == 6
    assert {d.get("selector") for d in documents} == {
        None,
        "account",
        "email",
        "device",
        "user_point",
    }


def test_the_fold_applies_events_one_by_one():
    user = {"accounts": [{"id": "a"}]}
    put = {"type": "profile", "user": user, "route": "user_profiles"}
    documents = [
        {"type": "track", "user": user, "properties": {"seq": 0}},
        {"type": "profile", "user": user, "properties": {"seq": 1, "n": {"a": 1}}},
        {**put, "update_strategy": "PARTIAL_UPDATE", "properties": {"n": {"b": 2}, "l": [1]}},
        {**put, "update_strategy": "PARTIAL_UPDATE", "properties": {"l": [1, 2]}},
        {**put, "update_strategy": "PARTIAL_DELETE", "properties": {"seq": None}},
        {
            "type": "choice",
            "user": user,
            "ts": 1,
            "route": "user_choices",
            "processing_id": "7",
            "accepted": True,
            "properties": {},
        },
    ]
    assert fold(documents) == {
        "a": State(
            {"n": {"a": 1, "b": 2}, "l": [1, 2]},
            {"7": (1, True, {})},
            [("7", 1, True, {})],
            [0, 1],
        )
    }
