"""Facts that come for every record: the first few whole, then a count for each interval."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from relay.model import DeadLetterClass, Position
from relay.road.facts import Lifecycle, LifecycleChanged
from relay.stream.facts import TokenReloaded
from relay.telemetry.facts import FactRepeated, RecordDeadLettered
from relay.telemetry.repeats import RepeatPolicy, Repeats
from scripts.every_fact import every_fact

END = LifecycleChanged(road="stream", old=Lifecycle.RUNNING, new=Lifecycle.DRAINING)


def dead(offset: int, code: str = "not_json") -> RecordDeadLettered:
    return RecordDeadLettered(
        position=Position("app-events", 0, offset),
        cls=DeadLetterClass.UNDECODABLE,
        code=code,
        reason="",
        status=0,
        attempts=0,
    )


def test_of_20000_dead_letters_the_first_ten_are_whole_and_the_others_one_line():
    repeats = Repeats()
    said = [fact for offset in range(20_000) for fact in repeats.take(dead(offset))]
    assert said == [dead(offset) for offset in range(10)]
    assert repeats.take(END) == [
        FactRepeated(
            of="record_dead_lettered",
            kind="undecodable not_json",
            count=19_990,
            example="app-events-0-10",
        ),
        END,
    ]


def test_another_code_is_seen_in_the_middle_of_a_flood():
    repeats = Repeats()
    for offset in range(100):
        repeats.take(dead(offset))
    assert repeats.take(dead(100, "too_large")) == [dead(100, "too_large")]


def test_every_interval_begins_anew():
    repeats = Repeats(RepeatPolicy(whole_max=1))
    for interval in range(3):
        assert repeats.take(dead(interval)) == [dead(interval)]
        assert repeats.take(END) == [END]


def test_other_facts_are_never_held_back():
    repeats = Repeats(RepeatPolicy(whole_max=1))
    assert [repeats.take(TokenReloaded()) for _ in range(3)] == [[TokenReloaded()]] * 3


def test_facts_that_are_alike_name_fields_that_they_have():
    declared = [fact for fact in every_fact() if fact.alike]
    assert RecordDeadLettered in declared
    for fact in declared:
        assert fact.alike
        assert {*fact.alike.by, fact.alike.example} <= set(fact.__dataclass_fields__)


@given(
    st.lists(st.one_of(st.just(None), st.sampled_from("abcdef"))),
    st.integers(0, 3),
    st.integers(1, 4),
)
def test_no_fact_goes_uncounted_and_kinds_are_bounded(codes, whole_max, kinds_max):
    repeats = Repeats(RepeatPolicy(whole_max=whole_max, kinds_max=kinds_max))
    told: Counter[str] = Counter()
    for offset, code in enumerate([*codes, None]):
        for said in repeats.take(END if code is None else dead(offset, code)):
            if isinstance(said, RecordDeadLettered):
                told[said.code] += 1
            elif isinstance(said, FactRepeated):
                told[said.kind.removeprefix("undecodable ")] += said.count
        assert len(repeats._seen) <= kinds_max + 1
    assert told.total() == len([code for code in codes if code is not None])
