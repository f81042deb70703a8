"""Trouble with the API over real sockets: it stays with the record, user, route or connection.

Nothing here measures time: requests are counted. How fast the others are:
`python -m bench.trouble`.
"""

import email.utils
import itertools

import pytest

from relay.clock import SystemClock
from relay.model import DeadLetterClass, RequestKind
from relay.stream.facts import (
    DestinationDown,
    DestinationHeld,
    DestinationThrottled,
    TroubleIsolated,
)
from relay.stream.sending.brake import BrakePolicy
from relay.stream.sending.destination import DestinationPolicy
from relay.stream.sending.gate import GateState
from relay.stream.sending.retries import RetryPolicy
from tests.support.raw_http import raw_server
from tests.support.trouble import stream

JSON = ("content-type", "application/json")
TOO_MANY = b'{"status":"error","error":"Too Many Requests"}'
PAGE = b"<html><head><title>403</title></head><body>Request blocked by policy</body></html>"


def answers(special, status, body=TOO_MANY, headers=(JSON,)):
    """What `special` is true of gets this answer, everything else is accepted."""

    async def script(exchange):
        if special(exchange.seen):
            await exchange.respond(status, body, headers)
        else:
            await exchange.respond()

    return script


def is_bad(seen):
    return b'"n":"bad"' in seen.body


def users(count, events=1):
    return [f"u{number} {event}" for event in range(events) for number in range(count)]


def state(made):
    return made.engine.sender.destination.gate.state


async def test_a_record_that_is_asked_to_wait_waits_alone():
    headers = (JSON, ("Retry-After", "30"))
    async with (
        raw_server(answers(is_bad, 429, headers=headers)) as server,
        stream(server.url) as it,
    ):
        it.feed("a bad", "a behind", *users(200, 10))
        await it.until(lambda: it.delivered == 2_000)
        assert sum(map(is_bad, server.requests)) == 1
        assert len(server.requests) == 2_001
        assert state(it) is GateState.FLOWING
        assert not it.told(DestinationThrottled)
        (told,) = it.told(TroubleIsolated)
        assert (told.scope, told.position.offset) == ("user", 0)


async def test_a_route_that_is_asked_to_wait_leaves_the_other_at_its_pace():
    def points(seen):
        return seen.method == "PUT"

    headers = (JSON, ("Retry-After", "600"))
    async with (
        raw_server(answers(points, 429, headers=headers)) as server,
        stream(server.url) as it,
    ):
        it.feed(*users(50))
        await it.until(lambda: it.delivered == 50)
        it.feed(*(f"p{number} 1" for number in range(40)))
        await it.until(lambda: it.told(DestinationThrottled))
        it.feed(*users(200, 10))
        await it.until(lambda: it.delivered == 2_050)
        assert [fact.scope for fact in it.told(DestinationThrottled)] == ["user_point"]
        assert state(it) is GateState.FLOWING
        routes = it.engine.sender.destination.routes
        assert routes[RequestKind.USER_POINT].gate.state is GateState.PAUSED
        assert sum(map(points, server.requests)) <= 40


async def test_one_in_two_hundred_asked_to_wait_leaves_the_limit_where_it_is():
    count = itertools.count(1)

    def unlucky(_seen):
        return next(count) % 200 == 0

    headers = (JSON, ("Retry-After", "1"))
    async with (
        raw_server(answers(unlucky, 429, headers=headers)) as server,
        stream(server.url) as it,
    ):
        it.feed(*users(400, 10))
        await it.until(lambda: it.delivered == 4_000)
        limit = it.engine.sender.destination.limit
        # A machine that is busy elsewhere answers slowly: that may move it, the refusals may not.
        assert limit.value >= 16 or limit.why == "slow answers"
        assert len(server.requests) <= 4_000 * 1.01
        assert not it.told(DestinationThrottled)


@pytest.mark.parametrize(
    ("status", "headers"),
    [
        (403, (("content-type", "text/html"),)),
        (404, (("content-type", "text/html"),)),
        (405, ()),
        (415, (("content-type", "text/plain"),)),
        (302, (("location", "/login"),)),
    ],
)
async def test_what_a_firewall_refuses_becomes_a_dead_letter_that_says_so(status, headers):
    policy = DestinationPolicy(retry=RetryPolicy(attempts_max=3, age_max_s=0.0, base_s=0.001))
    script = answers(is_bad, status, PAGE, headers)
    async with raw_server(script) as server, stream(server.url, policy) as it:
        it.feed(*users(20))
        await it.until(lambda: it.delivered == 20)
        it.feed("a bad", "a behind")
        for number in itertools.count():
            before = it.delivered
            it.feed(f"more{number} 1")
            await it.until(lambda before=before: it.delivered > before or it.letters)
            if it.letters:
                break
        (letter,) = it.letters
        assert (letter.cls, letter.status) == (DeadLetterClass.REFUSED, status)
        assert "answered by something that is not the API" in letter.reason
        assert "Request blocked by policy" in letter.reason
        assert state(it) is GateState.FLOWING
        assert not it.told(DestinationHeld)
        await it.until(lambda: it.engine.custody.ledger.open == 0)


async def test_a_backend_that_fails_behind_some_connections_is_left():
    def broken(seen):
        return seen.connection % 4 == 0

    script = answers(broken, 502, b"<html>bad gateway</html>", ())
    async with raw_server(script) as server, stream(server.url) as it:
        it.feed(*users(400, 10))
        await it.until(lambda: it.delivered == 4_000)
        failed = sum(map(broken, server.requests))
        assert failed <= 3 * (server.connections // 4 + 1)
        assert len(server.requests) == 4_000 + failed
        assert not it.told(DestinationDown)
        assert not it.letters


async def test_a_clock_that_is_an_hour_ahead_asks_for_no_hour():
    ahead = SystemClock().now_ms() / 1000 + 3600
    date = email.utils.formatdate(ahead, usegmt=True)
    until = email.utils.formatdate(ahead + 20, usegmt=True)
    headers = (JSON, ("Date", date), ("Retry-After", until))
    async with (
        raw_server(answers(is_bad, 429, headers=headers)) as server,
        stream(server.url) as it,
    ):
        it.feed("a bad")
        await it.until(lambda: it.engine.sender.lanes.paused)
        assert 10 < it.engine.sender.lanes.next_pause_end() - it.now <= 20


@pytest.mark.parametrize("values", [("2", "40"), ("40", "2"), ("2, 40",)])
async def test_of_several_times_to_wait_the_longest_counts(values):
    headers = (JSON, *(("Retry-After", value) for value in values))
    async with (
        raw_server(answers(is_bad, 429, headers=headers)) as server,
        stream(server.url) as it,
    ):
        it.feed("a bad")
        await it.until(lambda: it.engine.sender.lanes.paused)
        assert 30 < it.engine.sender.lanes.next_pause_end() - it.now <= 40


async def test_an_api_that_refuses_everything_does_not_empty_the_topic_into_dead_letters():
    policy = DestinationPolicy(brake=BrakePolicy(share=0.9, number=100))
    body = b'{"status":"error","error":"compartment 7 is closed","error_id":"e-1"}'
    script = answers(lambda _: True, 200, body)
    async with raw_server(script) as server, stream(server.url, policy) as it:
        it.feed(*users(3_000))
        await it.until(lambda: it.told(DestinationHeld))
        sent = len(server.requests)
        await it.until(lambda: len(server.requests) > sent + 1)
        assert len(it.letters) == 100
        (held,) = it.told(DestinationHeld)
        assert "compartment 7 is closed" in held.reason
        assert "delivery.brake" in held.reason
        server.script = answers(lambda _: False, 200)
        await it.until(lambda: it.delivered == 2_900)


async def test_what_is_down_says_at_once_what_the_api_says():
    body = b'{"status":"error","error":"database of jane@example.com is away","error_id":"e-9"}'
    script = answers(lambda _: True, 503, body)
    async with raw_server(script) as server, stream(server.url) as it:
        it.feed(*users(50))
        await it.until(lambda: it.told(DestinationDown))
        (down,) = it.told(DestinationDown)
        assert down.reason.startswith("503 unavailable: database of ")
        assert "jane" not in down.reason
        assert it.engine.sender.destination.gate.reason == down.reason


async def test_a_dead_letter_names_the_field_that_the_api_refuses():
    body = b'{"status":"error","error":"$events[0].$event_name must not be empty"}'
    async with raw_server(answers(is_bad, 400, body)) as server, stream(server.url) as it:
        it.feed("a bad", *users(20))
        await it.until(lambda: it.letters and it.delivered == 20)
        (letter,) = it.letters
        assert letter.reason == "400 refused: $events[0].$event_name must not be empty"


async def test_silence_is_told_as_silence():
    async def silent(exchange):
        await exchange.reader.read()

    async with raw_server(silent) as server, stream(server.url, read_timeout_s=0.05) as it:
        it.feed(*users(40))
        await it.until(lambda: it.told(DestinationDown))
        (down,) = it.told(DestinationDown)
        assert down.code == "timeout"
        assert "for any answer" in down.reason
        assert "read_timeout_s" in down.reason
