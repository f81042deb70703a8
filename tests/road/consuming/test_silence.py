"""When missing answers are an outage: of everybody soon, of some later."""

import pytest

from relay.model import Partition
from relay.road.consuming.silence import ALL_SILENT_S, ANY_BROKER, SOME_SILENT_S, LastAnswers

A, B = Partition("events", 0), Partition("events", 1)


def expecting(*partitions):
    made = LastAnswers()
    made.expect(partitions, 0.0)
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
    both = expecting(A, B)
    both.came(A, heard_a)
    both.came(B, heard_b)

    assert both.silent_since(now) == since


def test_without_partitions_an_answer_of_any_broker_is_expected():
    nobody = expecting()
    assert nobody.silent_since(ALL_SILENT_S) == 0.0

    nobody.came(ANY_BROKER, 4.0)
    assert nobody.silent_since(ALL_SILENT_S) is None


def test_an_assignment_is_no_answer():
    """A rebalance during an outage must not make it look shorter."""
    answers = expecting(A)
    answers.expect([], 3.0)
    answers.expect([A, B], 4.0)

    assert answers.silent_since(ALL_SILENT_S) == 0.0


def test_late_answers_for_what_left_are_not_counted():
    answers = expecting(A, B)
    answers.expect([B], 1.0)
    answers.came(A, 4.0)

    assert answers.silent_since(ALL_SILENT_S) == 0.0


def test_who_was_not_heard_in_a_round():
    answers = expecting(A, B)
    answers.came(A, 2.0)

    assert answers.missing(1.0) == (B,)
    assert answers.missing(0.0) == ()
