"""Order breaks, judged on sequence numbers, or on times where there are none."""

from hypothesis import given
from hypothesis import strategies as st

from relay.sandbox import order
from relay.sandbox.journal import EventSeen
from relay.sandbox.order import OrderBreak, OrderMarks, judge


def numbered(*numbers: int) -> list[EventSeen]:
    return [EventSeen("seen", number, None) for number in numbers]


def timed(*times: int) -> list[EventSeen]:
    return [EventSeen("seen", None, time) for time in times]


def test_a_lower_number_after_a_higher_one_is_a_break():
    assert judge(OrderMarks(), numbered(1, 3, 2, 4)).breaks == [OrderBreak("seq", 2, 3)]


def test_a_gap_is_no_break():
    assert judge(OrderMarks(), numbered(1, 5, 9)).breaks == []


def test_a_number_seen_before_is_a_repeat_and_no_break():
    judgement = judge(OrderMarks(), numbered(1, 2, 1, 3))
    assert judgement.breaks == []
    assert judgement.repeated_events == 1


def test_events_without_a_number_are_judged_by_time():
    assert judge(OrderMarks(), timed(5, 7, 7, 6)).breaks == [OrderBreak("ts", 6, 7)]


def test_numbers_and_times_are_not_compared_with_each_other():
    mixed = [EventSeen("a", 2, 900), EventSeen("b", None, 100), EventSeen("c", 3, 50)]
    assert judge(OrderMarks(), mixed).breaks == []


def test_an_event_without_number_and_time_is_not_judged():
    marks = OrderMarks(seq=5, ts=5)
    assert judge(marks, [EventSeen("seen", None, None)]).breaks == []
    assert (marks.seq, marks.ts) == (5, 5)


def test_two_users_that_become_one_go_on_from_the_higher_marks():
    marks = OrderMarks(seq=3, ts=None, known={3})
    marks.absorb(OrderMarks(seq=7, ts=10, known={7}))
    assert (marks.seq, marks.ts, marks.known) == (7, 10, {3, 7})


@given(st.lists(st.integers(0, 30)))
def test_breaks_are_the_new_numbers_below_the_highest_so_far(numbers):
    judgement = judge(OrderMarks(), numbered(*numbers))
    firsts = list(dict.fromkeys(numbers))
    expected = [n for i, n in enumerate(firsts) if any(m > n for m in firsts[:i])]
    assert [found.value for found in judgement.breaks] == expected
    assert judgement.repeated_events == len(numbers) - len(firsts)


def test_what_is_known_of_a_user_is_bounded(monkeypatch):
    monkeypatch.setattr(order, "KNOWN_MAX", 10)
    marks = OrderMarks()
    judge(marks, numbered(*range(100)))
    assert len(marks.known) <= 10
    assert 99 in marks.known
