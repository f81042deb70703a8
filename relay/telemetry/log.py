"""Facts → lines on standard output: JSON for machines, colours for people.

The one module that knows structlog. What libraries log goes the same way, from WARNING on and
redacted: aiokafka repeats itself when a broker is away, httpx writes a line per request.
"""

import logging
import sys
from collections.abc import Callable, Collection, MutableMapping
from typing import Any, BinaryIO

import orjson
import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from relay.telemetry.facts import Fact, Level, LibraryLogged
from relay.telemetry.redact import redact

_GRAVITY = {
    Level.DEBUG: logging.DEBUG,
    Level.INFO: logging.INFO,
    Level.WARNING: logging.WARNING,
    Level.ERROR: logging.ERROR,
}


# A shorter one turns up by chance, and masking it would make every line unreadable.
_SECRET_LENGTH_MIN = 4


_SAY_AGAIN_S = 60.0
_KINDS_MAX = 1000


class LineWriter:
    """Writes whole lines to a byte stream. A stream that fails costs lines, never records."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self.lost = 0

    def msg(self, line: bytes | str) -> None:
        """Write one line now: what happened just before a crash is what people look for."""
        try:
            self._stream.write((line if isinstance(line, bytes) else line.encode()) + b"\n")
            self._stream.flush()
        except (OSError, ValueError):  # full disk, closed pipe, closed file
            self.lost += 1

    debug = info = warning = error = msg


class Log:
    """Writes facts. Make one per process, with `configure`."""

    def __init__(self, logger: WrappedLogger, writer: LineWriter) -> None:
        self._logger = logger
        self._writer = writer
        self._methods: dict[Level, Callable[..., Any]] = {
            level: getattr(logger, level.value) for level in Level
        }

    @property
    def lost(self) -> int:
        """Lines that could not be written."""
        return self._writer.lost

    def write(self, fact: Fact, level: Level | None = None) -> None:
        """One line for one fact; nothing at all below the level that was asked for."""
        said = {name: _plain(value) for name, value in fact.said()}
        method = self._methods[level or fact.level]
        method(fact.name(), stage=fact.stage.value, **said)


def configure(
    level: Level = Level.INFO,
    *,
    json: bool,
    stream: BinaryIO | None = None,
    secrets: Collection[str] = (),
) -> Log:
    """A log on `stream` (standard output), with the libraries' loggers led into it.

    `secrets` are masked wherever they should turn up after all.
    """
    writer = LineWriter(stream or sys.stdout.buffer)
    processors: list[Processor] = [
        structlog.processors.add_log_level,
        # People read the time of day where they are; machines compare places.
        structlog.processors.TimeStamper(fmt="iso" if json else "%H:%M:%S", utc=json, key="at"),
        _Masker(secrets),
    ]
    if json:
        processors += [_in_order, structlog.processors.JSONRenderer(serializer=_dumps)]
    else:
        processors.append(
            structlog.dev.ConsoleRenderer(
                colors=stream is None and sys.stdout.isatty(),
                timestamp_key="at",
                event_key="event",
                sort_keys=False,
                pad_event_to=24,
            )
        )
    # Not structlog.configure: nothing global, so two pipelines of one test do not share a log.
    # The filtering logger's methods below the level are literally `return None`.
    logger = structlog.wrap_logger(
        writer,
        processors=processors,
        wrapper_class=structlog.make_filtering_bound_logger(_GRAVITY[level]),
        cache_logger_on_first_use=True,
    ).bind()
    log = Log(logger, writer)
    _lead_libraries_into(log)
    # What aiokafka has to say, facts of ours say once (docs/LOGS.md, consuming); while a broker is
    # away it would write thirty lines a second.
    loud = level is Level.DEBUG
    logging.getLogger("aiokafka").setLevel(logging.WARNING if loud else logging.CRITICAL)
    return log


def silence() -> None:
    """Keep libraries from writing to standard error, in commands that say themselves what is."""
    root = logging.getLogger()
    if not root.handlers:
        root.addHandler(logging.NullHandler())


class _Masker:
    """The last net: no text of a line may contain a secret of the settings."""

    def __init__(self, secrets: Collection[str]) -> None:
        long_enough = (secret for secret in secrets if len(secret) >= _SECRET_LENGTH_MIN)
        self._secrets = sorted(long_enough, key=len, reverse=True)

    def __call__(
        self, _logger: WrappedLogger, _method: str, event: EventDict
    ) -> MutableMapping[str, Any]:
        for name, value in event.items():
            if isinstance(value, str) and any(secret in value for secret in self._secrets):
                event[name] = self._mask(value)
        return event

    def _mask(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return text


class _Handler(logging.Handler):
    """Takes the records of libraries that use the standard `logging`.

    What a library says again and again is written once a minute, with a count.
    """

    def __init__(self, log: Log) -> None:
        super().__init__(logging.WARNING)
        self._log = log
        self._said: dict[tuple[str, str], tuple[float, int]] = {}

    def emit(self, record: logging.LogRecord) -> None:
        """Write it as a fact: message and kind of exception, without its trace."""
        kind = (record.name, str(record.msg))
        at, repeated = self._said.get(kind, (0.0, 0))
        if record.created - at < _SAY_AGAIN_S:
            self._said[kind] = (at, repeated + 1)
            return
        if len(self._said) >= _KINDS_MAX:
            self._said.clear()
        self._said[kind] = (record.created, 0)
        text = record.getMessage()
        if record.exc_info and record.exc_info[0]:
            text = f"{text} [{record.exc_info[0].__qualname__}: {record.exc_info[1]}]"
        level = Level.ERROR if record.levelno >= logging.ERROR else Level.WARNING
        self._log.write(
            LibraryLogged(logger=record.name, text=redact(text), repeated=repeated), level
        )


def _lead_libraries_into(log: Log) -> None:
    root = logging.getLogger()
    for handler in list(root.handlers):
        if isinstance(handler, _Handler):
            root.removeHandler(handler)
    root.addHandler(_Handler(log))
    root.setLevel(logging.WARNING)
    logging.captureWarnings(True)


def _in_order(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """What people and queries look for first comes first; the event of structlog is our fact."""
    ordered = {name: event.pop(name) for name in ("at", "level")}
    return {**ordered, "fact": event.pop("event"), **event}


def _dumps(event: Any, **_: Any) -> bytes:
    return orjson.dumps(event, option=orjson.OPT_NON_STR_KEYS)


def _plain(value: Any) -> Any:
    """Enums as their value, named tuples as they write themselves, floats without noise."""
    if isinstance(value, float):
        return round(value, 3)
    if isinstance(value, tuple):
        return str(value) if hasattr(value, "_fields") else list(value)
    return value
