"""The tap: what it shows, what it masks, and that it is not there when nobody looks."""

import hashlib
import json

import pytest

from relay.stream.tap import Tap
from relay.telemetry.samples import Wanted
from tests.support.engine_kit import BAD, OK, Bench


@pytest.fixture
def bench():
    return Bench()


@pytest.fixture
def tap(bench):
    return Tap(bench.engine, lambda: bench.now)


def hashed(account):
    return hashlib.sha256(account.encode()).hexdigest()


def flown(bench, *events, answer=OK):
    bench.feed(*events)
    for flight in bench.fly_all():
        bench.later(0.5)
        bench.answer(flight, answer)


def test_while_nobody_looks_the_engine_calls_what_it_called_before(bench, tap):
    before = bench.engine.sender.take_answer, bench.engine.interpret
    close = tap.open(Wanted(), [].append)
    again = tap.open(Wanted(), [].append)
    assert bench.engine.sender.take_answer != before[0]
    close()
    assert tap.is_open
    again()
    again()
    assert not tap.is_open
    assert (bench.engine.sender.take_answer, bench.engine.interpret) == before


def test_a_sample_says_where_what_became_and_only_the_shape(bench, tap):
    seen = []
    tap.open(Wanted(), seen.append)
    flown(bench, "a 1")
    (sample,) = seen
    assert (sample["became"], sample["code"]) == ("delivered", "http_200")
    assert sample["position"] == str(next(iter(bench.engine.custody.assigned))) + "-0"
    assert set(json.loads(sample["content"])) >= {"$ts", "$events"}
    assert "path" not in sample


def test_what_dies_and_what_is_tried_again_is_shown_too(bench, tap):
    seen = []
    tap.open(Wanted(), seen.append)
    flown(bench, "a 1", answer=BAD)
    assert [sample["became"] for sample in seen] == ["dead-lettered"]
    assert seen[0]["reason"]


def test_it_is_restricted_by_topic_code_and_destination(bench, tap):
    for wanted, count in (
        (Wanted(topic="another"), 0),
        (Wanted(topic=next(iter(bench.engine.custody.assigned)).topic), 1),
        (Wanted(code="http_422"), 0),
        (Wanted(code="http_200"), 1),
        (Wanted(destination="elsewhere"), 0),
        (Wanted(destination="tracking API"), 1),
    ):
        seen = []
        close = tap.open(wanted, seen.append)
        flown(bench, "a 1")
        close()
        assert len(seen) == count, wanted


def test_its_rate_is_bounded(bench, tap):
    seen = []
    tap.open(Wanted(rate=1.0), seen.append)
    for _ in range(10):
        flown(bench, "a 1", "b 1")  # half a second each
    assert 9 <= len(seen) <= 11


def test_eight_may_look_and_no_more(tap):
    closes = [tap.open(Wanted(), [].append) for _ in range(8)]
    assert all(closes)
    assert tap.open(Wanted(), [].append) is None
