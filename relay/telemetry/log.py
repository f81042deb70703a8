"""Facts → lines on standard output: JSON for machines, colours for people.

The one module that knows structlog. What libraries log goes the same way, from WARNING on and
redacted: aiokafka repeats itself when a broker is away, httpx writes a line per request.
"""

import logging
import sys
from collections.abc import Callable, Collection, Mapping, MutableMapping
from typing import Any, BinaryIO

import orjson

from relay import __version__
from relay.telemetry.facts import Fact, Level, LibraryLogged, LogLinesLost, Stage
from relay.telemetry.lines import Lines, QueuedLines, lines_on
from relay.telemetry.log_fields import LogFields, arranged
from relay.telemetry.plain import plain
from relay.telemetry.redact import redact
from relay.telemetry.structlog_alone import structlog

_GRAVITY = {
    Level.DEBUG: logging.DEBUG,
    Level.INFO: logging.INFO,
    Level.WARNING: logging.WARNING,
    Level.ERROR: logging.ERROR,
}


# A shorter one turns up by chance, and masking it would make every line unreadable.
_SECRET_LENGTH_MIN = 4


_SAY_AGAIN_S = 60.0  # as often as a reminder of ours
# messages that are told apart, so that a library with ids in its texts costs no memory
_KINDS_MAX = 1000


class Log:
    """Writes facts. Make one per process, with `configure`."""

    def __init__(
        self,
        logger: structlog.typing.WrappedLogger,
        lines: Lines,
        levels: Mapping[Stage, Level],
        mask: Callable[[Collection[str]], None],
    ) -> None:
        self.mask = mask
        """Keeps further secrets out of every line."""
        self._lines = lines
        self._least = {stage: _GRAVITY[level] for stage, level in levels.items()}
        self._methods: dict[Level, Callable[..., Any]] = {
            level: getattr(logger, level.value) for level in Level
        }

    @property
    def lost(self) -> int:
        """Lines that could not be written."""
        return self._lines.lost

    def write(self, fact: Fact, level: Level | None = None) -> None:
        """One line for one fact; nothing at all below the level of its stage."""
        grave = level or fact.level
        if _GRAVITY[grave] < self._least[fact.stage]:
            return
        said = {name: plain(value) for name, value in fact.log_fields()}
        self._methods[grave](fact.name(), stage=fact.stage.value, **said)


def configure(
    level: Level = Level.INFO,
    *,
    json: bool,
    stream: BinaryIO | None = None,
    secrets: Collection[str] = (),
    levels: Mapping[Stage, Level] | None = None,
    fields: LogFields = LogFields.DEFAULT,
) -> Log:
    """A log on `stream` (standard output), with the libraries' loggers led into it.

    `levels` are those of stages whose level is not `level`; `secrets` are masked wherever they
    should turn up after all.
    """
    lines = lines_on(stream or sys.stdout.buffer)
    least = dict.fromkeys(Stage, level) | dict(levels or {})
    masker = _Masker(secrets)
    processors: list[structlog.typing.Processor] = [
        structlog.processors.add_log_level,
        # Seconds since the epoch for the keys of `fields`; for people their own time of day.
        structlog.processors.TimeStamper(fmt=None if json else "%H:%M:%S", utc=json),
        masker,
    ]
    if json:
        arrange = arranged(fields)
        processors += [
            lambda _logger, _method, event: arrange(event, __version__),
            structlog.processors.JSONRenderer(serializer=_dumps),
        ]
    else:
        processors.append(
            structlog.dev.ConsoleRenderer(
                colors=stream is None and sys.stdout.isatty(),
                sort_keys=False,
                pad_event_to=24,
            )
        )
    # Not structlog.configure: nothing global, so two pipelines of one test do not share a log.
    # `Log.write` looks at the level before it makes a line; the logger has nothing to filter.
    logger = structlog.wrap_logger(
        lines,
        processors=processors,
        wrapper_class=structlog.make_filtering_bound_logger(logging.DEBUG),
        cache_logger_on_first_use=True,
    ).bind()
    log = Log(logger, lines, least, masker.add)
    if isinstance(lines, QueuedLines):
        lines.tell = lambda lost: log.write(LogLinesLost(lines=lost))
    _lead_libraries_into(log)
    # What aiokafka has to say, facts of ours say once (docs/LOGS.md, consuming); while a broker is
    # away it would write thirty lines a second.
    loud = least[Stage.CONSUMING] is Level.DEBUG
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
        self._secrets: list[str] = []
        self.add(secrets)

    def add(self, secrets: Collection[str]) -> None:
        """Further ones."""
        long_enough = {secret for secret in secrets if len(secret) >= _SECRET_LENGTH_MIN}
        self._secrets = sorted(long_enough.union(self._secrets), key=len, reverse=True)

    def __call__(
        self,
        _logger: structlog.typing.WrappedLogger,
        _method: str,
        event: structlog.typing.EventDict,
    ) -> MutableMapping[str, Any]:
        if self._secrets:
            for name, value in event.items():
                event[name] = self._masked(value)
        return event

    def _masked(self, value: Any) -> Any:
        match value:
            case str():
                return self._mask(value)
            case list():
                return [self._masked(item) for item in value]
            case dict():
                return {self._masked(key): self._masked(item) for key, item in value.items()}
            case _:  # numbers, truth values, nothing: see `plain`
                return value

    def _mask(self, text: str) -> str:
        for secret in self._secrets:
            if secret in text:
                text = text.replace(secret, "***")
        return text


class _Handler(logging.Handler):
    """Takes the records of libraries that use the standard `logging`.

    What a library says again and again is written once a minute, with a count. Nothing is raised
    into the library that logs: it does not expect it.
    """

    def __init__(self, log: Log) -> None:
        super().__init__(logging.WARNING)
        self._log = log
        self._said: dict[tuple[str, str], tuple[float, int]] = {}

    def emit(self, record: logging.LogRecord) -> None:
        """Write it as a fact: message and kind of exception, without its trace."""
        # Alike is what comes from one call of one library: the text before its values are put in.
        # The first is written; those of the next minute are counted, and told with the first after
        # that.
        said = record.msg if isinstance(record.msg, str) else f"{record.module}:{record.lineno}"
        kind = (record.name, said)
        at, repeated = self._said.get(kind, (0.0, 0))
        if record.created - at < _SAY_AGAIN_S:
            self._said[kind] = (at, repeated + 1)
            return
        if len(self._said) >= _KINDS_MAX:
            self._said.clear()
        self._said[kind] = (record.created, 0)
        level = Level.ERROR if record.levelno >= logging.ERROR else Level.WARNING
        self._log.write(
            LibraryLogged(logger=record.name, text=redact(_text(record)), repeated=repeated), level
        )


def _text(record: logging.LogRecord) -> str:
    """The message, and the kind and text of its exception.

    Both are made by code of the library, which may fail: then the line says so, and where.
    """
    try:
        text = record.getMessage()
        if record.exc_info and record.exc_info[0]:
            text = f"{text} [{record.exc_info[0].__qualname__}: {record.exc_info[1]}]"
    except Exception as error:  # noqa: BLE001 - whatever a `__str__` may raise
        kind = type(error).__qualname__
        return f"a message that cannot be written ({kind}), of {record.module}:{record.lineno}"
    return text


def _lead_libraries_into(log: Log) -> None:
    root = logging.getLogger()
    for handler in list(root.handlers):
        if isinstance(handler, _Handler):
            root.removeHandler(handler)
    root.addHandler(_Handler(log))
    root.setLevel(logging.WARNING)
    logging.captureWarnings(True)


def _dumps(event: Any, **_: Any) -> bytes:
    return orjson.dumps(event, option=orjson.OPT_NON_STR_KEYS)
