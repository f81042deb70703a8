"""What is logged, and in which form."""

from enum import StrEnum

from pydantic import Field

from relay.section import Section
from relay.telemetry.facts import Level


class LogFormat(StrEnum):
    """How a line is written."""

    AUTO = "auto"
    JSON = "json"
    CONSOLE = "console"


class LogSettings(Section):
    """Logs go to standard output, one fact a line (docs/LOGS.md)."""

    level: Level = Field(
        Level.INFO,
        description="Least grave level that is written. Only `debug` has lines per event.",
    )
    format: LogFormat = Field(
        LogFormat.AUTO,
        description="`json` for machines, `console` for people; `auto` takes `console` when "
        "standard output is a terminal and `json` when it is not.",
    )

    def as_json(self, *, on_terminal: bool) -> bool:
        """Whether lines are JSON, given what standard output is."""
        return self.format is LogFormat.JSON or (self.format is LogFormat.AUTO and not on_terminal)
