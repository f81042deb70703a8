"""Signals at any moment of the process' life: each has one meaning and a documented status."""

import signal
import subprocess

import pytest

from tests.support.kafka_admin import wait_for
from tests.support.run_alone import STOP, Alone, children, cpu_ticks, facts, is_gone

pytestmark = pytest.mark.slow

STOPS = sorted(STOP)


# As `nohup` does.
NO_HANG_UP = ("/bin/sh", "-c", 'trap "" HUP; exec "$@"', "sh")


@pytest.mark.parametrize("number", STOPS, ids=lambda number: number.name)
def test_every_stop_signal_stops_with_status_0(number):
    with Alone() as relay:
        relay.until_it_answers()
        assert relay.end(number) == 0


def test_the_user_signals_do_nothing():
    with Alone() as relay:
        relay.until_it_answers()
        for number in (signal.SIGUSR1, signal.SIGUSR2):
            relay.process.send_signal(number)
        relay.until_it_answers()
        assert relay.end() == 0


def test_a_hang_up_that_nohup_ignores_stays_ignored():
    with Alone(wrap=NO_HANG_UP) as relay:
        relay.until_it_answers()
        relay.process.send_signal(signal.SIGHUP)
        relay.until_it_answers()
        assert relay.end() == 0


# Moments of the start, in ticks (10 ms) of processor time; the last are after it. Before the first
# line of ours runs, a signal has to wait, as it does for workers: nothing can hear it so early.
@pytest.mark.parametrize("ticks", [0, 2, 7, 16, 40, 80])
def test_sigterm_at_any_moment_of_the_start_ends_with_status_0(ticks):
    with Alone(held_back=STOP) as relay:
        wait_for(
            lambda: cpu_ticks(relay.pid) >= ticks or relay.answers(), 60, "it does not come so far"
        )
        assert relay.end() == 0


@pytest.mark.parametrize("ticks", [0, 50, 60, 70, 100])
def test_sigterm_at_any_moment_of_the_start_of_workers_ends_with_status_0(ticks):
    with Alone("--workers", "2", held_back=STOP) as relay:

        def so_far() -> bool:
            family = [relay.pid, *children(relay.pid)]
            return sum(map(cpu_ticks, family)) >= ticks or relay.answers(relay.port + 1)

        wait_for(so_far, 60, "it does not come so far")
        assert relay.end() == 0
    assert children(relay.pid) == []


@pytest.mark.parametrize("ticks", [0, 1, 2, 4, 7])
def test_sigterm_in_the_first_moments_of_a_worker_ends_with_status_0(ticks):
    """Found by the worker itself: how long the supervisor takes to start it may change."""
    with Alone("--workers", "2", held_back=STOP) as relay:

        def so_far() -> bool:
            workers = children(relay.pid)
            return bool(workers) and cpu_ticks(workers[0]) >= ticks

        wait_for(so_far, 60, "no worker comes so far", every_s=0.001)
        assert relay.end() == 0
    assert children(relay.pid) == []


@pytest.mark.parametrize("number", STOPS, ids=lambda number: number.name)
def test_every_stop_signal_stops_all_workers_with_status_0(number):
    with Alone("--workers", "2") as relay:
        relay.until_it_answers(ports=2)
        workers = relay.workers()
        assert relay.end(number) == 0
    assert len(workers) == 2
    assert all(map(is_gone, workers))


def test_workers_end_when_their_supervisor_is_killed():
    with Alone("--workers", "2", stdout=subprocess.PIPE) as relay:
        relay.until_it_answers(ports=2)
        workers = relay.workers()
        relay.process.kill()
        relay.process.wait(30)
        wait_for(lambda: all(map(is_gone, workers)), 60, f"{workers} live on")
        assert len(workers) == 2
        assert relay.process.stdout is not None
        with relay.process.stdout as stream:
            said = facts(stream.read())
        assert {line["pid"] for line in said if line["event"] == "worker_started"} == set(workers)


def test_workers_end_when_their_supervisor_is_killed_though_hang_ups_are_ignored():
    with Alone("--workers", "2", wrap=NO_HANG_UP) as relay:
        relay.until_it_answers(ports=2)
        workers = relay.workers()
        relay.process.kill()
        relay.process.wait(30)
        wait_for(lambda: all(map(is_gone, workers)), 60, f"{workers} live on")
