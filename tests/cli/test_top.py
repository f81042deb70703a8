"""`relay top`: one screen for several relays, at 80 columns."""

import io
import os
import pty
import subprocess
import sys

import pytest
from rich.console import Console

from relay.cli.top_screen import screen, seconds
from tests.support.embedded import whole_relay
from tests.support.kafka_admin import wait_for
from tests.support.road import bare_environ

FLOWING = {
    "state": "flowing",
    "reason": "",
    "for_s": 9.0,
    "in_flight": 17,
    "limit": 217,
    "limit_changed_because": "slow answers",
    "round_trip_s": {"p50": 0.04, "p99": 0.253},
    "lateness_s": {"p50": None, "p99": None},
}


def partition(lag=0, pin=None):
    return {"lag": lag, "open": 3, "in_flight": 1, "pinned_by": pin}


def told(**more):
    return {
        "ready": {"ready": True, "reason": "running"},
        "lifecycle": "running",
        "troubles": [],
        "rates": {"received": 912.4, "delivered": 604.0, "dead_lettered": 0.0},
        "ledger": {"open": 2529},
        "lag": 3203,
        "oldest_s": 4.2,
        "destination": FLOWING,
        "partitions": {"app-events-0": partition(3203)},
        **more,
    }


def drawn(answers, width=80, lines=None):
    console = Console(file=io.StringIO(), width=width, force_terminal=False)
    console.print(screen(answers, "12:03:10", lines))
    return console.file.getvalue()


def test_a_screen_has_rates_destinations_and_partitions_in_80_columns():
    text = drawn([("http://localhost:9464", told())])
    assert max(map(len, text.splitlines())) <= 80
    for part in ("1 of 1 answer", "nothing is wrong", "912", "17", "217", "3,203", "app-events-0"):
        assert part in text


def test_what_is_wrong_comes_first_the_worst_of_all_processes_at_the_top():
    late = {"level": "warning", "what": "it is late", "reason": "", "for_s": None}
    held = {"level": "error", "what": "it is held", "reason": "401", "for_s": 20.0}
    answers = [("http://a:1", told(troubles=[late])), ("http://b:1", told(troubles=[held]))]
    lines = drawn([*answers, ("http://c:1", None)], width=100).splitlines()
    assert lines[0].startswith("relay top  2 of 3 answer")
    assert lines[1].startswith("c:1 does not answer")
    assert lines[2].startswith("b:1: it is held: 401, for 20 s")
    assert lines[3].startswith("a:1: it is late")


def test_segment_events_have_a_row_where_they_are_imported():
    road = {
        "lifecycle": "running",
        "held": "403 token lacks the right",
        "rates": {"received": 44.0, "delivered": 0.0},
        "waiting": 4,
        "in_trouble": 1,
        "flying": 0,
        "lag": 1005,
        "oldest_s": 24.0,
    }
    text = drawn([("http://a:1", told(segments=road)), ("http://b:1", told())])
    assert max(map(len, text.splitlines())) <= 80
    (row,) = [line.split() for line in text.splitlines() if line.startswith("held @ a:1")]
    assert row == ["held", "@", "a:1", "44", "0", "5", "0", "1,005", "24", "s"]
    assert "segment events" not in drawn([("http://b:1", told())])


def test_partitions_that_are_stuck_come_first_and_the_screen_is_not_exceeded():
    pin = {"offset": 7, "for_s": 400.0, "attempts": 3, "last_verdict": "http_500"}
    partitions = {f"t-{n}": partition(lag=n) for n in range(300)} | {"z-0": partition(1, pin)}
    text = drawn([("http://a:1", told(partitions=partitions))], lines=30)
    lines = text.rstrip("\n").splitlines()
    assert len(lines) <= 30
    where = next(n for n, line in enumerate(lines) if line.startswith("partition"))
    assert lines[where + 1].startswith("z-0")
    assert "offset 7 for 7 min, 3 attempts, last http_500" in lines[where + 1]
    assert lines[where + 2].startswith("t-299")
    assert "and 2" in lines[-1]


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "-"), (0.0401, "40 ms"), (9.3, "9.3 s"), (42, "42 s"), (400, "7 min"), (9000, "2.5 h")],
)
def test_durations_are_said_as_people_say_them(value, text):
    assert seconds(value) == text


def relay_top(*arguments, **options):
    command = [sys.executable, "-m", "relay", "top", *arguments]
    return subprocess.Popen(command, env={**bare_environ(), "COLUMNS": "80"}, **options)


def test_without_a_terminal_it_prints_one_screen_of_a_running_relay_and_ends():
    with whole_relay() as whole:
        whole.feeder.send(50)
        whole.until_settled(50)
        done = relay_top("--url", whole.admin, stdout=subprocess.PIPE, text=True)
        out, _ = done.communicate(timeout=30)
        assert done.returncode == 0
        assert "app-events-3" in out
        assert "tracking API" in out

        ours, theirs = pty.openpty()
        watched = relay_top("--url", whole.admin, "--every", "0.2", stdout=theirs)
        os.close(theirs)
        seen = b""

        def drawn_twice():
            nonlocal seen
            seen += os.read(ours, 65536)
            return seen.count(b"relay top") >= 2

        wait_for(drawn_twice, 30, "nothing is drawn")
        watched.send_signal(2)
        assert watched.wait(30) == 130
        os.close(ours)


def test_where_nothing_answers_it_says_so():
    done = relay_top("--url", "http://127.0.0.1:1", stderr=subprocess.PIPE, text=True)
    _, err = done.communicate(timeout=30)
    assert done.returncode == 7
    assert err.startswith("relay: http://127.0.0.1:1 does not answer as a relay does")
