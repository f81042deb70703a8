"""Facts and the words of libraries as lines."""

import io
import logging
import subprocess
import sys
import warnings

import orjson
import pytest

from relay import __version__
from relay.model import DeadLetterClass, Position
from relay.process_facts import SettingsNotTaken
from relay.road.facts import DrainEnded, Lifecycle, LifecycleChanged, PartitionsAssigned
from relay.stream.facts import TokenReloaded
from relay.telemetry import log
from relay.telemetry.facts import Level, RecordDeadLettered, Stage
from relay.telemetry.log import configure
from relay.telemetry.log_fields import LogFields

DEAD = RecordDeadLettered(
    position=Position("app-events", 3, 17),
    cls=DeadLetterClass.REFUSED,
    code="http_400",
    reason="$ts: not a number",
    status=400,
    attempts=1,
)


class Sink(io.BytesIO):
    """A stream that tells its lines."""

    def lines(self) -> list[dict]:
        return [orjson.loads(line) for line in self.getvalue().splitlines()]


@pytest.fixture(autouse=True)
def libraries_as_they_were():
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(False)


@pytest.fixture
def sink():
    return Sink()


def test_a_line_is_json_with_time_level_and_event_first(sink):
    configure(json=True, stream=sink).write(DEAD)
    (line,) = sink.lines()
    assert list(line)[:4] == ["timestamp", "level", "event", "stage"]
    at = line.pop("timestamp")
    assert at.endswith("Z")
    assert line == {
        "level": "warning",
        "event": "record_dead_lettered",
        "stage": "settling",
        "position": "app-events-3-17",
        "class": "refused",
        "code": "http_400",
        "reason": "$ts: not a number",
        "status": 400,
        "attempts": 1,
    }


def test_lists_stay_lists_and_numbers_lose_their_noise(sink):
    log = configure(json=True, stream=sink)
    log.write(PartitionsAssigned(road="stream", partitions=("a-0", "a-1"), epoch=2))
    log.write(DrainEnded(road="stream", seconds=0.1 + 0.2, unsettled=0, uncommitted=0))
    first, second = sink.lines()
    assert first["partitions"] == ["a-0", "a-1"]
    assert second["seconds"] == 0.3


@pytest.mark.parametrize("json", [True, False])
def test_text_that_no_line_can_hold_is_escaped_and_raises_nothing(sink, json):
    configured = configure(json=json, stream=sink)
    configured.write(SettingsNotTaken(reason="caf\udce9.yaml:1: é"))
    configured.write(PartitionsAssigned(road="stream", partitions=("\ud83d-0",), epoch=1))
    # Not to pytest's own handlers: its reports cannot carry such text to another process.
    [ours] = [one for one in logging.getLogger().handlers if type(one).__module__ == log.__name__]
    ours.handle(logging.makeLogRecord({"name": "library", "levelno": 30, "msg": "no \ud83d here"}))
    first, second, third = sink.getvalue().decode().splitlines()
    assert "caf\\\\udce9.yaml:1: é" in first
    assert "\\\\ud83d-0" in second
    assert "no \\\\ud83d here" in third


def test_below_the_level_nothing_is_written(sink):
    log = configure(Level.WARNING, json=True, stream=sink)
    log.write(TokenReloaded())
    assert sink.lines() == []
    log.write(DEAD)
    assert len(sink.lines()) == 1


def test_the_form_for_people_has_the_same_fields(sink):
    configure(json=False, stream=sink).write(DEAD)
    text = sink.getvalue().decode()
    assert text.count("\n") == 1
    for part in ("record_dead_lettered", "position=app-events-3-17", "code=http_400"):
        assert part in text


def test_libraries_are_led_into_the_same_log_from_warning_on(sink):
    configure(json=True, stream=sink)
    logging.getLogger("httpx").info("HTTP Request: POST https://api/ann")
    logging.getLogger("library.client").warning("Unable to reach node %s", 1)
    (line,) = sink.lines()
    assert line["event"] == "library_logged"
    assert (line["level"], line["logger"]) == ("warning", "library.client")
    assert line["text"] == "Unable to reach node 1"


def test_what_a_library_repeats_is_a_line_a_minute_with_a_count(sink):
    configure(json=True, stream=sink)
    logger = logging.getLogger("library")

    def say(at, text, *arguments):
        record = logger.makeRecord("library", logging.ERROR, "f", 1, text, arguments, None)
        record.created = 1_700_000_000.0 + at
        logger.handle(record)

    for at in range(61):
        say(at, "no connection to %s", at)
    say(1, "something else")
    assert [(line["text"], line["repeated"]) for line in sink.lines()] == [
        ("no connection to 0", 0),
        ("no connection to 60", 59),
        ("something else", 0),
    ]


def test_of_aiokafka_only_debug_has_lines(sink):
    configure(json=True, stream=sink)
    logging.getLogger("aiokafka.client").error("Unable connect to node")
    assert sink.lines() == []
    configure(Level.DEBUG, json=True, stream=sink)
    logging.getLogger("aiokafka.client").error("Unable connect to node")
    assert len(sink.lines()) == 1


def test_silence_keeps_libraries_from_standard_error():
    script = (
        "import logging; from relay.telemetry.log import silence; silence(); silence();"
        "logging.getLogger('aiokafka').error('x'); assert len(logging.getLogger().handlers) == 1"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True)
    assert (done.stdout, done.stderr) == (b"", b"")


def test_a_library_s_exception_is_one_line_without_its_trace(sink):
    configure(json=True, stream=sink)
    error = ValueError("bad ann@example.com\nvalue")
    logging.getLogger("uvicorn.error").error("failed", exc_info=error)
    (line,) = sink.lines()
    assert line["level"] == "error"
    assert line["text"] == "failed [ValueError: bad *** value]"


def test_warnings_of_python_are_lines_too(sink):
    configure(json=True, stream=sink)
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(False)
        logging.captureWarnings(True)
        warnings.warn("old", DeprecationWarning, stacklevel=1)
    assert sink.lines()[0]["logger"] == "py.warnings"


def test_configuring_twice_does_not_write_twice(sink):
    before = Sink()
    configure(json=True, stream=before)
    configure(json=True, stream=sink)
    logging.getLogger("library").warning("once")
    assert (len(before.lines()), len(sink.lines())) == (0, 1)


def test_secrets_of_the_settings_are_masked_wherever_they_turn_up(sink):
    configure(json=True, stream=sink, secrets=["s3cr3t", "", "log"])
    logging.getLogger("library").warning("login with s3cr3t failed")
    assert sink.lines()[0]["text"] == "login with *** failed"


@pytest.mark.parametrize(
    ("said", "masked"),
    [
        (("s3cr3t", "topic"), ["***", "topic"]),
        ([["as s3cr3t"]], [["as ***"]]),
        ({"s3cr3t": {"user": ("s3cr3t", 1)}}, {"***": {"user": ["***", 1]}}),
    ],
)
@pytest.mark.parametrize("json", [True, False])
def test_secrets_are_masked_in_lists_and_mappings_too(sink, said, masked, json):
    fact = PartitionsAssigned(road="stream", partitions=said, epoch=1)
    configure(json=json, stream=sink, secrets=["s3cr3t"]).write(fact)
    assert b"s3cr3t" not in sink.getvalue()
    if json:
        assert sink.lines()[0]["partitions"] == masked


class Unspeakable(Exception):
    def __str__(self):
        raise ValueError("ann@example.com")


@pytest.mark.parametrize(
    ("text", "arguments", "error"),
    [
        ("%d of %s", ("many",), None),
        ("%s", (Unspeakable(),), None),
        ("failed", (), Unspeakable()),
        (Unspeakable(), (), None),
    ],
)
def test_a_message_that_cannot_be_written_raises_nothing_into_the_library(
    sink, text, arguments, error
):
    configure(json=True, stream=sink)
    (ours,) = [one for one in logging.getLogger().handlers if type(one).__module__ == log.__name__]
    exc_info = (type(error), error, None) if error else None
    record = logging.LogRecord("library", logging.ERROR, __file__, 1, text, arguments, exc_info)
    ours.handle(record)  # pytest has a handler of its own, which raises
    (line,) = sink.lines()
    assert line["logger"] == "library"
    assert line["text"].startswith("a message that cannot be written (")
    assert "of test_log:" in line["text"]


def test_a_stream_that_fails_costs_the_line_and_not_the_record(sink):
    log = configure(json=True, stream=sink)
    sink.close()
    log.write(DEAD)
    assert log.lost == 1


def test_lines_of_a_log_that_was_replaced_go_to_their_own_stream(sink):
    other = Sink()
    first = configure(json=True, stream=sink)
    configure(json=True, stream=other)
    first.write(LifecycleChanged(road="stream", old=Lifecycle.STARTING, new=Lifecycle.RUNNING))
    assert len(sink.lines()) == 1
    assert other.lines() == []


def test_the_keys_are_those_of_elastic_when_they_are_asked_for(sink):
    configure(json=True, stream=sink, fields=LogFields.ECS).write(DEAD)
    (line,) = sink.lines()
    assert line.pop("@timestamp").endswith("Z")
    assert line == {
        "log.level": "warning",
        "message": "record_dead_lettered",
        "ecs.version": "8.11.0",
        "service.name": "relay",
        "service.version": __version__,
        "event.action": "record_dead_lettered",
        "event.dataset": "relay.settling",
        "relay": {
            "position": "app-events-3-17",
            "class": "refused",
            "code": "http_400",
            "reason": "$ts: not a number",
            "status": 400,
            "attempts": 1,
        },
    }


def test_the_keys_are_those_of_opentelemetry_when_they_are_asked_for(sink):
    configure(json=True, stream=sink, fields=LogFields.OTEL).write(TokenReloaded())
    (line,) = sink.lines()
    at = line.pop("Timestamp")
    assert len(at) == len("1586960586000000000")
    assert line == {
        "SeverityText": "INFO",
        "SeverityNumber": 9,
        "Body": "token_reloaded",
        "EventName": "relay.token_reloaded",
        "Resource": {"service.name": "relay", "service.version": __version__},
        "Attributes": {"stage": "sending", "destination": "default"},
    }


@pytest.mark.parametrize("fields", LogFields)
def test_whatever_the_keys_are_called_no_secret_is_among_the_values(sink, fields):
    log = configure(json=True, stream=sink, fields=fields, secrets=["not a number"])
    log.write(DEAD)
    assert b"not a number" not in sink.getvalue()
    assert b"$ts: ***" in sink.getvalue()


def test_a_stage_may_have_a_level_of_its_own(sink):
    levels = {Stage.SETTLING: Level.ERROR, Stage.SENDING: Level.INFO}
    log = configure(Level.WARNING, json=True, stream=sink, levels=levels)
    log.write(DEAD)  # a warning of settling
    log.write(LifecycleChanged(road="stream", old=Lifecycle.STARTING, new=Lifecycle.RUNNING))
    assert sink.lines() == []
    log.write(TokenReloaded())  # an info of sending
    assert [line["event"] for line in sink.lines()] == ["token_reloaded"]
