"""What is logged, and in which form."""

from enum import StrEnum

from pydantic import Field

from relay.settings.section import Section


class LogLevel(StrEnum):
    """The least grave line that is written."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class LogFormat(StrEnum):
    """How a line is written."""

    AUTO = "auto"
    JSON = "json"
    CONSOLE = "console"


class LogSettings(Section):
    """Logs go to standard output, one fact a line (docs/LOGS.md)."""

    level: LogLevel = Field(
        LogLevel.INFO,
        description="Least grave level that is written. Only `debug` has lines per event.",
    )
    format: LogFormat = Field(
        LogFormat.AUTO,
        description="`json` for machines, `console` for people; `auto` takes `console` when "
        "standard output is a terminal and `json` when it is not.",
    )
