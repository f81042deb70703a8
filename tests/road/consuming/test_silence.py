"""When missing answers are an outage: of everybody soon, of some later."""

import pytest

from relay.model import Partition
from relay.road.consuming.silence import ALL_SILENT_S, ANY_BROKER, SOME_SILENT_S, Hearing

A, B = Partition("events", 0), Partition("events", 1)


def hearing(*partitions):
    made = Hearing()
    made.listen(partitions, 0.0)
    return made


@pytest.mark.parametrize(
    ("heard_a", "heard_b", "now", "since"),
    [
        (0.0, 0.0, ALL_SILENT_S - 0.1, None),
        (0.0, 0.0, ALL_SILENT_S, 0.0),
        (2.0, 1.0, 2.0 + ALL_SILENT_S, 1.0),
        (2.0, 1.0, 1.0 + ALL_SILENT_S, None),
        (0.0, SOME_SILENT_S - 0.2, SOME_SILENT_S - 0.1, None),
        (0.0, SOME_SILENT_S, SOME_SILENT_S, 0.0),
    ],
)
def test_nobody_is_an_outage_after_seconds_and_some_after_a_while(heard_a, heard_b, now, since):
    both = hearing(A, B)
    both.heard(A, heard_a)
    both.heard(B, heard_b)

    assert both.silent_since(now) == since


def test_without_partitions_any_broker_is_listened_for():
    nobody = hearing()
    assert nobody.silent_since(ALL_SILENT_S) == 0.0

    nobody.heard(ANY_BROKER, 4.0)
    assert nobody.silent_since(ALL_SILENT_S) is None


def test_an_assignment_is_no_answer():
    """A rebalance during an outage must not make it look shorter."""
    listening = hearing(A)
    listening.listen([], 3.0)
    listening.listen([A, B], 4.0)

    assert listening.silent_since(ALL_SILENT_S) == 0.0


def test_late_answers_for_what_left_are_not_counted():
    listening = hearing(A, B)
    listening.listen([B], 1.0)
    listening.heard(A, 4.0)

    assert listening.silent_since(ALL_SILENT_S) == 0.0


def test_who_was_not_heard_in_a_round():
    listening = hearing(A, B)
    listening.heard(A, 2.0)

    assert listening.unheard(1.0) == (B,)
    assert listening.unheard(0.0) == ()
