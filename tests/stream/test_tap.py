"""The tap: what it shows, what it masks, and that it is not there when nobody looks."""

import json
import random

import pytest

from relay.app.edges import KafkaEdges
from relay.app.stream import StreamRoads
from relay.model import DEFAULT_DESTINATION, Activity, Moment, Parcel, Record, Unmappable
from relay.settings import load
from relay.stream.interpret import Events
from relay.stream.mapping.compact_json import to_json
from relay.stream.policy import OnDeadLetter
from relay.stream.tap import Tap
from relay.telemetry.account_digest import digest_from, digest_of
from relay.telemetry.tap_route import SampleFilter
from tests.support.engine_kit import BAD, OK, WALL_MS, Bench
from tests.support.simulation.cluster import SimCluster, SimSource
from tests.support.simulation.roads import P0, Sink


class Timers:
    """The `call_at` of a loop whose time passes on the bench."""

    def __init__(self, bench):
        self._bench = bench
        self.waiting = []

    def call_at(self, when, call):
        timer = Timer(when, call, self)
        self.waiting.append(timer)
        return timer

    def ring(self):
        for timer in [one for one in self.waiting if one.when <= self._bench.now]:
            timer.cancel()
            timer.call()


class Timer:
    def __init__(self, when, call, timers):
        self.when, self.call, self._timers = when, call, timers

    def cancel(self):
        """Also of one that has rung, as asyncio's."""
        if self in self._timers.waiting:
            self._timers.waiting.remove(self)


@pytest.fixture
def bench():
    return Bench()


@pytest.fixture
def timers(bench):
    return Timers(bench)


@pytest.fixture
def tap(bench, timers):
    return Tap(bench.engine, lambda: bench.now, timers.call_at)


@pytest.fixture
def flown(bench, timers):
    def flown(*events, answer=OK):
        bench.feed(*events)
        for flight in bench.fly_all():
            bench.later(0.5)
            timers.ring()
            bench.answer(flight, answer)

    return flown


def calls(engine):
    return engine.sender.take_answer, engine.take_other


def test_while_nobody_looks_the_engine_calls_what_it_called_before(bench, tap):
    before = calls(bench.engine)
    close = tap.open(SampleFilter(), [].append)
    again = tap.open(SampleFilter(), [].append)
    assert bench.engine.sender.take_answer != before[0]
    close()
    assert tap.is_open
    again()
    again()
    assert not tap.is_open
    assert calls(bench.engine) == before


def test_nor_does_it_call_the_tap_between_two_samples(bench, tap, timers, flown):
    before, seen = calls(bench.engine), []
    tap.open(SampleFilter(rate=0.1), seen.append)
    flown("a 1")
    assert len(seen) == 1
    assert calls(bench.engine) == before
    bench.later(9.9)
    timers.ring()
    assert calls(bench.engine) == before
    bench.later(0.1)
    timers.ring()
    assert calls(bench.engine) != before
    flown("a 2")
    assert len(seen) == 2


def test_another_listener_does_not_wait_for_the_first(bench, tap, timers, flown):
    slow, quick = [], []
    tap.open(SampleFilter(rate=0.1), slow.append)
    flown("a 1")
    close = tap.open(SampleFilter(), quick.append)
    flown("a 2")
    assert (len(slow), len(quick)) == (1, 1)
    close()
    bench.later(10)
    timers.ring()
    flown("a 3")
    assert (len(slow), len(quick)) == (2, 1)


def test_when_the_last_has_left_nothing_is_left_to_wake(bench, tap, timers, flown):
    before = calls(bench.engine)
    close = tap.open(SampleFilter(rate=0.1), [].append)
    flown("a 1")
    assert timers.waiting
    close()
    assert not timers.waiting
    assert calls(bench.engine) == before


ODD_ACCOUNTS = ('a "quoted" one', '"', "zoë", "a\\b", "\\", "line\nbreak", "\x01", "漢字", " ")


@pytest.fixture
def of_accounts(bench):
    """What is fed is an account id; its activity names another one before it."""

    def interpret(record, now_ms):
        ids = ("other", record.value.decode())
        listed = [{"$type": "USER_ACCOUNT", "$user_account_id": one} for one in ids]
        envelope = to_json({"$user_identifiers": listed})
        return Parcel(record, "a", Activity(envelope, WALL_MS, None, (b"{}",), "a"))

    bench.engine.interpret = interpret


@pytest.mark.usefixtures("of_accounts")
@pytest.mark.parametrize("account", ["crm-1", *ODD_ACCOUNTS])
def test_it_is_restricted_to_an_account_by_its_digest(tap, flown, account):
    seen = []
    tap.open(SampleFilter(account=digest_from(str(digest_of(account)))), seen.append)
    for one in ("crm", "crm-12", account):
        flown(one)
    assert len(seen) == 1


@pytest.mark.usefixtures("of_accounts")
def test_an_account_with_the_same_crc_is_another_account(tap, flown):
    """Both have eight letters and the CRC-32 4ddb0c25."""
    asked = digest_of("plumless")
    assert asked[:2] == digest_of("buckeroo")[:2]
    seen = []
    tap.open(SampleFilter(account=asked), seen.append)
    flown("buckeroo")
    assert seen == []
    flown("plumless")
    assert len(seen) == 1


def test_a_sample_says_where_what_became_and_only_the_shape(bench, tap, flown):
    seen = []
    tap.open(SampleFilter(), seen.append)
    flown("a 1")
    (sample,) = seen
    assert (sample["became"], sample["code"]) == ("delivered", "http_200")
    assert sample["position"] == str(next(iter(bench.engine.custody.assigned))) + "-0"
    assert set(json.loads(sample["content"])) >= {"$ts", "$events"}
    assert "path" not in sample


def test_what_dies_is_shown_with_its_reason(tap, flown):
    seen = []
    tap.open(SampleFilter(), seen.append)
    flown("a 1", answer=BAD)
    assert [sample["became"] for sample in seen] == ["dead-lettered"]
    assert seen[0]["reason"]


def test_what_is_not_sent_after_a_dead_letter_of_its_user_does_not_hide_why():
    bench = Bench(on_dead_letter=OnDeadLetter.PARK_USER)
    seen = []
    tap = Tap(bench.engine, lambda: bench.now, Timers(bench).call_at)
    tap.open(SampleFilter(code="http_400"), seen.append)
    bench.feed("a 1", "a 2")
    bench.answer(bench.fly(), BAD)
    assert [letter.letter.code for letter in bench.engine.custody.letters] == [
        "http_400",
        "follows_dead_letter",
    ]
    assert seen[0]["reason"] == bench.engine.custody.letters[0].letter.reason


@pytest.mark.usefixtures("of_accounts")
def test_two_accounts_are_two_listeners(tap, flown):
    first, second = [], []
    tap.open(SampleFilter(account=digest_of("crm-1")), first.append)
    tap.open(SampleFilter(account=digest_of("crm-02")), second.append)
    for account in ("crm-3", "crm-02", "crm-1"):
        flown(account)
    assert [sample["position"][-1] for sample in (*first, *second)] == ["2", "1"]


def test_an_event_that_cannot_be_mapped_is_shown_of_a_record_with_several(bench, tap, flown):
    good = bench.engine.interpret
    bad = Unmappable("no_identifier", "no usable identifier")
    bench.engine.interpret = lambda record, now_ms: Events((good(record, now_ms), bad))
    seen = []
    tap.open(SampleFilter(code="no_identifier"), seen.append)
    flown("a 1")
    assert [(one["became"], one["code"]) for one in seen] == [("dead-lettered", "no_identifier")]


def test_it_is_restricted_by_topic_code_and_destination(bench, tap, flown):
    for wanted, count in (
        (SampleFilter(topic="another"), 0),
        (SampleFilter(topic=next(iter(bench.engine.custody.assigned)).topic), 1),
        (SampleFilter(code="http_422"), 0),
        (SampleFilter(code="http_200"), 1),
        (SampleFilter(destination="elsewhere"), 0),
        (SampleFilter(destination="tracking API"), 1),
    ):
        seen = []
        close = tap.open(wanted, seen.append)
        flown("a 1")
        close()
        assert len(seen) == count, wanted


def test_a_destination_that_is_added_is_looked_at_too(bench, tap, flown):
    """The second one gives the first a name."""
    seen = []
    tap.open(SampleFilter(destination="more"), seen.append)
    with tap.away():
        bench.engine.add({"more": bench.engine.policy})
    mapped = bench.engine.interpret
    bench.engine.interpret = lambda record, now_ms: mapped(record, now_ms)._replace(
        destination=record.value.decode().partition(" ")[0]
    )
    more = bench.engine.senders["more"]
    bench.feed("more 1", "default 1")
    bench.answer(bench.fly())
    assert seen == []
    more.take_answer(more.next_flight(bench.moment), OK, bench.moment)
    assert [sample["destination"] for sample in seen] == ["more"]


def test_its_rate_is_bounded(tap, flown):
    seen = []
    tap.open(SampleFilter(rate=1.0), seen.append)
    for _ in range(10):
        flown("a 1", "b 1")  # half a second each
    assert 9 <= len(seen) <= 11


def test_eight_may_look_and_no_more(tap):
    closes = [tap.open(SampleFilter(), [].append) for _ in range(8)]
    assert all(closes)
    assert tap.open(SampleFilter(), [].append) is None


async def test_whoever_looks_sees_the_road_that_is_made_when_one_failed():
    settings = load(
        environ={
            "RELAY_TRACKING__DATAMART_ID": "1",
            "RELAY_TRACKING__API_TOKEN": "s3cret-of-the-test",
            "RELAY_IDENTITY__DEFAULT_COMPARTMENT_ID": "1000",
        },
    )
    nowhere = KafkaEdges(SimSource(SimCluster(1, random.Random(1))), Sink())
    roads = StreamRoads(
        settings,
        {DEFAULT_DESTINATION: None},
        [].append,
        random.Random(1),
        lambda _settings, _emit: nowhere,
        loader=None,
        tracer=None,
    )
    roads.make()
    seen = []
    close = roads.tap(SampleFilter(), seen.append)
    failed = roads.engine

    roads.make()
    roads.engine.custody.assign({P0: None}, 1, 0.0)
    roads.engine.admit(Record(*P0, 7, 0, None, b"{", epoch=1), Moment(0.0, 0))
    (sample,) = seen
    assert sample["position"] == f"{P0}-7"
    assert failed.take_other == failed._take_other

    close()
    assert roads.engine.take_other == roads.engine._take_other
