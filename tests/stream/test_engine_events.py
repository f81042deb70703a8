"""Records that hold several events: the fate of a record is the join of the fates of its events."""

import random

import pytest

from relay.model import Fate
from relay.road.settling.assigned import Assigned, Join
from relay.road.settling.frontier import Frontier
from relay.road.settling.offset_map import OffsetMap
from relay.stream.engine import Engine
from relay.stream.interpret import Events
from relay.stream.policy import OnDeadLetter
from relay.stream.sending.coalescing import CoalescingPolicy
from tests.support.engine_kit import BAD, OK, OOPS, P0, Bench, interpret

DEAD, DELIVERED, SKIPPED = Fate.DEAD_LETTERED, Fate.DELIVERED, Fate.SKIPPED


def interpret_several(record, now_ms):
    """The shorthand of the kit, several events of a record parted by `|`."""
    values = record.value.split(b"|")
    outcomes = [interpret(record._replace(value=value), now_ms) for value in values]
    if len(outcomes) == 1:
        return outcomes[0]
    return Events(tuple(outcomes))


class SeveralBench(Bench):
    def __init__(self, **policy):
        super().__init__(**policy)
        self.engine = Engine(self.policy, interpret_several, random.Random(1))
        self.assign(P0)

    @property
    def books(self):
        custody = self.engine.custody
        return custody.ledger, custody.by_event


@pytest.mark.parametrize(
    ("fates", "joined"),
    [
        ([(0, DELIVERED, ""), (1, DELIVERED, "")], (DELIVERED, "")),
        ([(0, SKIPPED, "a"), (1, DELIVERED, "")], (DELIVERED, "")),
        ([(1, DELIVERED, ""), (0, SKIPPED, "a")], (DELIVERED, "")),
        ([(1, SKIPPED, "b"), (0, SKIPPED, "a")], (SKIPPED, "a")),
        ([(0, DELIVERED, ""), (1, DEAD, "refused")], (DEAD, "refused")),
        ([(2, DEAD, "late"), (1, DEAD, "first"), (0, SKIPPED, "a")], (DEAD, "first")),
    ],
)
def test_the_fate_of_a_record_is_the_join_of_those_of_its_events(fates, joined):
    assigned = Assigned(P0, 1, Frontier(OffsetMap(0, 0)))
    join = Join(assigned, 0, 10, len(fates), len(fates))
    for fate in fates:
        join.settled(*fate)
    assert (join.fate, join.code, join.open) == (*joined, 0)


def test_a_record_is_committed_with_its_last_event():
    bench = SeveralBench()
    bench.feed("a 1|b 2|- x")
    first, second = bench.fly_all()
    bench.answer(first)
    assert bench.offset() == 0
    bench.answer(second)
    assert bench.offset() == 1
    records, events = bench.books
    assert (records.delivered, records.skipped.total()) == (1, 0)
    assert (events.delivered, dict(events.skipped)) == (2, {"no_consent": 1})


def test_events_that_cannot_be_read_share_a_letter_and_the_others_are_delivered():
    bench = SeveralBench()
    bench.feed("a 1|? x|b 2|! x")
    bench.deliver_all()
    (letter,) = bench.confirm_letters()
    assert (letter.events, letter.events_total, letter.code) == ((1, 3), 4, "not_json")
    assert letter.codes == ((1, "not_json"), (3, "no_identifier"))
    records, events = bench.books
    assert records.dead_lettered.total() == 1
    assert (events.delivered, events.dead_lettered.total()) == (2, 2)
    assert bench.offset() == 1


def test_an_event_that_is_refused_has_a_letter_of_its_own():
    bench = SeveralBench()
    bench.feed("a 1|bad 2", "a 3")
    for flight in bench.fly_all():
        bad = flight.members[0].lane == "bad"
        bench.answer(flight, BAD if bad else OK)
    (letter,) = bench.confirm_letters()
    assert (letter.events, letter.events_total) == ((1,), 2)
    assert bench.offset() == 1


def test_events_of_one_record_with_one_key_are_duplicates():
    bench = SeveralBench(duplicates_window=10)
    bench.feed("a 1|a 1")
    bench.deliver_all()
    assert bench.books[1].skipped["duplicate"] == 1


def test_memory_is_charged_once_a_record_and_released_with_its_last_event():
    bench = SeveralBench()
    value = "|".join(f"u{n} {n}" for n in range(50))
    bench.feed(value)
    assert bench.ledger.open == 1
    assert bench.ledger.open_bytes < 50 * 2000 + len(value)
    bench.deliver_all()
    assert bench.ledger.open_bytes == 0


@pytest.mark.parametrize("seed", range(20))
def test_a_random_walk_balances_both_ledgers_and_keeps_each_user_in_order(seed):
    rng = random.Random(seed)
    bench = SeveralBench(duplicates_window=rng.choice([0, 100]))
    log = [
        "|".join(
            f"{rng.choice(['a', 'b', 'c', '?', '-'])} {at:03}.{n:02}"
            for n in range(rng.choice([1, 1, 2, 7]))
        )
        for at in range(20)
    ]
    stored, flights = [], []
    while bench.next[P0] < len(log) or bench.ledger.open:
        if bench.next[P0] < len(log) and rng.random() < 0.3:
            bench.feed(log[bench.next[P0]])
        flights += bench.fly_all()
        if flights and rng.random() < 0.8:
            flight = flights.pop(rng.randrange(len(flights)))
            answer = rng.choice([OK, OK, OK, OOPS])
            if answer is OK:
                stored += [(m.lane, m.parcel.payload.events[0]) for m in flight.members]
            bench.answer(flight, answer)
        if rng.random() < 0.3:
            bench.confirm_letters()
        if rng.random() < 0.3:
            bench.commit()
        bench.later(0.5)
        assert all(ledger.balanced for ledger in bench.books)
    everything = {
        (event.split()[0], event.split()[1])
        for value in log
        for event in value.split("|")
        if event[0] in "abc"
    }
    first_seen = list(dict.fromkeys(stored))
    assert {(user, body.decode()[6:-2]) for user, body in first_seen} == everything
    for user in "abc":
        mine = [body for lane, body in first_seen if lane == user]
        assert mine == sorted(mine)


def test_a_record_enters_as_a_whole_before_the_next_one_and_in_its_own_order():
    bench = SeveralBench()
    bench.feed("a 1|b 1|a 2", "a 3|b 2")
    left = [sent.split() for sent in sent_by(bench)]
    assert [n for user, n in left if user == "a"] == ["1", "2", "3"]
    assert [n for user, n in left if user == "b"] == ["1", "2"]


def sent_by(bench):
    """What is sent until nothing waits: user and event, in the order of sending."""
    left = []
    while bench.engine.sender.lanes.waiting:
        flight = bench.fly_when_open()
        left += [f"{m.lane} {m.parcel.payload.events[0].decode()[6:-2]}" for m in flight.members]
        bench.answer(flight)
    return left


def test_a_rebalance_gives_the_whole_record_back_and_a_late_answer_settles_nothing():
    bench = SeveralBench()
    bench.feed("a 1|b 2|c 3")
    flights = {flight.members[0].lane: flight for flight in bench.fly_all()}
    bench.answer(flights["a"])
    bench.reassign(P0)
    bench.answer(flights["b"])
    records, events = bench.books
    assert records.balanced
    assert events.balanced
    assert (records.returned, events.delivered) == (0, 1)  # c still flies
    bench.answer(flights["c"])
    records, events = bench.books
    assert (records.returned, events.returned, records.open, events.open) == (1, 2, 0, 0)
    assert bench.ledger.open_bytes == 0
    # It comes again as a whole.
    bench.feed("a 1|b 2|c 3")
    assert len(sent_by(bench)) == 3
    assert bench.offset() == 1


def test_after_a_crash_an_unfinished_record_is_sent_again_as_a_whole_under_the_same_keys():
    bench = SeveralBench()
    bench.feed("a 1|b 2")
    first, second = bench.fly_all()
    bench.answer(first)
    commit = bench.commit().get(P0)
    assert commit is None or commit.offset == 0
    keys = {m.parcel.payload.unique_key for f in (first, second) for m in f.members}
    again = SeveralBench()
    again.feed("a 1|b 2")
    flights = again.fly_all()
    assert {m.parcel.payload.unique_key for f in flights for m in f.members} == keys


def test_events_of_one_record_travel_together_however_far_apart_they_are():
    """Sixty events of ten minutes are two requests and not sixty."""

    def far_apart(record, now_ms):
        found = interpret_several(record, now_ms)
        if not isinstance(found, Events):
            return found
        return Events(
            tuple(
                one._replace(payload=one.payload._replace(ts_ms=now_ms + index * 10_000))
                for index, one in enumerate(found.outcomes)
            )
        )

    def requests(*values):
        bench = SeveralBench(coalescing=CoalescingPolicy(events_max=50))
        bench.engine = Engine(bench.policy, far_apart, random.Random(1))
        bench.assign(P0)
        bench.feed(*values)
        return len(bench.deliver_all())

    assert requests("|".join(f"a m{n:02}" for n in range(60))) == 2
    # Those of two records go by the span that the settings allow.
    halves = ["|".join(f"a m{half}{n}" for n in range(8)) for half in "xy"]
    assert requests(*halves) == 2


def test_a_user_parked_by_a_dead_letter_takes_only_its_own_events_along():
    bench = SeveralBench(on_dead_letter=OnDeadLetter.PARK_USER)
    bench.feed("a 1|b 1|a 2", "b 2|a 3")
    flights = {flight.members[0].lane: flight for flight in bench.fly_all()}
    bench.answer(flights["a"], BAD)
    bench.answer(flights["b"])
    assert sent_by(bench) == ["b 2"]
    letters = bench.confirm_letters()
    assert [(x.record.offset, x.events, str(x.cls)) for x in letters] == [
        (0, (0,), "refused"),
        (0, (2,), "followed"),
        (1, (1,), "followed"),
    ]
    assert bench.offset() == 2
