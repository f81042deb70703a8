"""Membership events through storms: each member ends where the last good event put it.

A failure prints the seed; `MembershipStorm.random(seed)` is the same storm again.
"""

import pytest

from tests.support.simulation.membership import MembershipStorm, MembershipWorld


def check(storm):
    world = MembershipWorld(storm).run()
    assert world.settled, storm
    inside = {member for member, enters in world.wanted.items() if enters}
    assert world.platform.members == inside, storm
    dead = {(letter.record.partition, letter.record.offset) for letter in world.sink.written}
    assert dead <= world.bad, storm
    for engine in world.engines:
        assert engine.custody.ledger.balanced, storm


@pytest.mark.parametrize("seed", range(14))
def test_a_random_storm_leaves_every_member_where_the_last_event_put_it(seed):
    check(MembershipStorm.random(seed))


@pytest.mark.storm(cases=60)
@pytest.mark.parametrize("seed", range(1000, 1400))
def test_another_random_storm_leaves_every_member_where_the_last_event_put_it(seed):
    check(MembershipStorm.random(seed))


def test_without_any_trouble_a_few_files_are_enough():
    world = MembershipWorld(MembershipStorm(1, commands_max=1000, produce_s=0)).run()
    assert world.settled
    assert world.platform.files == 1
    assert world.sink.written == []


def test_a_platform_that_is_away_for_an_hour_loses_nothing_and_kills_nothing():
    storm = MembershipStorm(2, away=((5.0, 3600.0),), failing=0.1)
    check(storm)
