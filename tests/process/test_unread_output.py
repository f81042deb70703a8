"""Nobody reads what the process writes: nothing but the log waits for it."""

import contextlib
import os
import threading

import pytest

from relay.telemetry.lines import QueuedLines
from tests.support.kafka_admin import wait_for
from tests.support.run_alone import Alone, drain, facts, unread_pipe

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("form", ["json", "console"])
def test_health_answers_and_sigterm_stops_while_nobody_reads_standard_output(form):
    with unread_pipe() as (_, writing), Alone(stdout=writing, LOG__FORMAT=form) as relay:
        relay.until_it_answers()
        assert relay.end() == 0


def test_workers_answer_and_stop_while_nobody_reads_standard_output():
    with unread_pipe() as (_, writing), Alone("--workers", "2", stdout=writing) as relay:
        relay.until_it_answers(ports=2)
        assert relay.end() == 0


def test_the_status_of_an_error_does_not_wait_for_a_reader_of_standard_error():
    with unread_pipe() as (_, writing):
        options = {"stdout": writing, "stderr": writing, "KAFKA__START_TIMEOUT_S": "0"}
        with Alone(**options) as relay:
            assert relay.process.wait(60) == 4


def test_what_was_said_meanwhile_is_there_when_the_reader_is_back():
    with unread_pipe() as (reading, writing), Alone(stdout=writing) as relay:
        relay.until_it_answers()
        assert relay.metric("relay_log_lines_lost_total") == 0
        said = b""

        def told() -> bool:
            nonlocal said
            said += drain(reading)
            return {"relay_started", "kafka_unavailable"} <= {line["event"] for line in facts(said)}

        wait_for(told, 30, "lines are missing")
        assert relay.end() == 0


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-", "<&- >&-", ">&- 2>&-"])
def test_descriptors_may_be_closed(closed):
    wrap = ("/bin/sh", "-c", f'exec "$@" {closed}', "sh")
    with Alone(wrap=wrap) as relay:
        relay.until_it_answers()
        assert relay.end() == 0


# -- the queue, on a pipe of its own ----------------------------------------------------------


class Pipe:
    """A full pipe with a queue before it."""

    def __init__(self, bytes_max):
        self.reading, writing = os.pipe()
        os.set_blocking(writing, False)
        with contextlib.suppress(BlockingIOError):
            while True:
                os.write(writing, b" " * 4095 + b"\n")
        os.set_blocking(writing, True)
        self.writing = writing
        self.queue = QueuedLines(writing, bytes_max=bytes_max)
        self.told = []
        self.queue.tell = self.tell

    def tell(self, lost):
        self.told.append(lost)
        self.queue.msg(f"lost {lost}")

    def lines_until(self, wanted):
        """What comes out until a line holds `wanted`."""
        with os.fdopen(os.dup(self.reading), "rb") as stream:
            lines = []
            for line in stream:
                if text := line.strip().decode():
                    lines.append(text)
                if wanted in line.decode():
                    return lines
        raise AssertionError(f"no {wanted} in {lines}")


@pytest.fixture
def pipe():
    made = Pipe(bytes_max=100)
    yield made
    os.close(made.reading)  # whoever still writes gets an error now


def test_what_does_not_fit_is_counted_and_told_once_the_reader_is_back(pipe):
    for number in range(30):
        pipe.queue.msg(f"line {number:04}")  # ten bytes each: ten of them fit
    assert pipe.queue.lost == 20
    assert pipe.lines_until("lost") == [*(f"line {n:04}" for n in range(10)), "lost 20"]
    pipe.queue.msg("the next")
    assert pipe.lines_until("next") == ["the next"]
    assert pipe.told == [20]


def test_flushing_waits_for_the_last_line_and_not_for_a_reader_who_is_gone(pipe):
    pipe.queue.msg("last")
    pipe.queue.flush(0.01)
    reader = threading.Thread(target=pipe.lines_until, args=("last",))
    reader.start()
    pipe.queue.flush(30)
    reader.join(30)
    assert not pipe.queue._bytes


def test_a_reader_who_is_gone_costs_lines_and_no_processor():
    pipe = Pipe(bytes_max=100)
    os.close(pipe.reading)
    pipe.queue.msg("to nobody")
    pipe.queue.flush(30)
    pipe.queue.msg("to nobody")
    pipe.queue.flush(30)
    assert (pipe.queue.lost, pipe.told) == (2, [])


def test_a_line_that_was_torn_spoils_no_other(tmp_path):
    """A full disk takes part of a line, and has room again later."""
    torn, whole = os.pipe()
    queue = QueuedLines(whole)
    queue._torn = True
    queue.msg("whole")
    queue.flush(30)
    assert os.read(torn, 100) == b"\nwhole\n"
