"""Fail the first call of a kind, then the second, the third …, until a run has no such call left.

Every place where the outside may fail is met in every state that a run goes through, and the
promises hold in all of them. What each failure must lead to is written in
`tests.support.simulation.sabotage`.
"""

import pytest

from tests.support.simulation.api import Faults
from tests.support.simulation.sabotage import FAILURES
from tests.support.simulation.storm import Storm
from tests.support.simulation.world import World

ENDS_THE_PROCESS = {"poll", "committed"}
STEPS_MAX = 400


def run(call, nth, seconds):
    """A run of so many seconds in which the nth call of a kind fails."""
    world = World(
        Storm(
            seed=5,
            partitions=2,
            users=3,
            events=int(seconds * 4 / 3),
            produce_s=seconds,
            poison=0.1,
            garbage=0.1,
            kills=[seconds * 0.3],
            joins=[seconds * 0.65],
            leaves=[seconds * 0.85],
            restart_after_s=0.5,
            records_max=10,
            poll_records_max=3,
            faults=Faults(latency_s=(0.01, 0.05), failing=0.1),
            fail=(call, nth),
            deadline_s=600.0,
        )
    )
    return world.run()


@pytest.mark.parametrize("call", sorted(FAILURES))
def test_no_single_failure_of_a_call_breaks_a_promise(call):
    each_fails_once(call, 12.0)


@pytest.mark.storm
@pytest.mark.parametrize("call", sorted(FAILURES))
def test_no_single_failure_of_a_call_breaks_a_promise_of_a_longer_run(call):
    each_fails_once(call, 30.0)


def each_fails_once(call, seconds):
    for nth in range(1, STEPS_MAX):
        world = run(call, nth, seconds)
        verdict = world.verdict()
        told = f"the {nth}. {call} failed: {verdict}"
        assert verdict["settled"], told
        assert verdict["lost"] == 0, told
        assert verdict["order_breaks"] == 0, told
        assert verdict["duplicates_beyond"] == 0, told
        assert verdict["keys_differ"] == 0, told
        assert verdict["fine_but_dead"] == 0, told
        assert verdict["unbalanced"] == 0, told
        happened = world.sabotage.happened
        assert verdict["crashes"] == (happened and call in ENDS_THE_PROCESS), told
        if not happened:
            break
    assert 3 < nth < STEPS_MAX - 1, f"{nth} runs of {call}: too few to prove, or never clean"
