"""What is logged, and in which form."""

import sys
from collections.abc import Collection
from enum import StrEnum
from typing import TYPE_CHECKING, BinaryIO

from pydantic import Field

from relay.section import Section
from relay.telemetry.facts import Level, Stage
from relay.telemetry.log_fields import LogFields

if TYPE_CHECKING:
    from relay.telemetry.log import Log


class LogFormat(StrEnum):
    """How a line is written."""

    AUTO = "auto"
    JSON = "json"
    CONSOLE = "console"


class LogSettings(Section):
    """Logs go to standard output, one fact a line (docs/LOGS.md)."""

    level: Level = Field(
        Level.INFO,
        description="Minimum level that is written. No level has a line for each event.",
    )
    levels: dict[Stage, Level] = Field(
        default_factory=dict,
        description="Minimum level of single stages, as `{consuming: warning}`; the others have "
        "`level`. Stages: `process`, `consuming`, `decoding`, `mapping`, `sending`, `settling`.",
    )
    format: LogFormat = Field(
        LogFormat.AUTO,
        description="`json` for machines, `console` for people; `auto` takes `console` when "
        "standard output is a terminal and `json` when it is not.",
    )
    fields: LogFields = Field(
        LogFields.DEFAULT,
        description="Names of the keys of a JSON line: `default` (`timestamp`, `level`, `event`, "
        "`stage`), `ecs` (Elastic Common Schema) or `otel` (OpenTelemetry's log data model).",
    )

    def as_json(self, *, on_terminal: bool) -> bool:
        """Whether lines are JSON, given what standard output is."""
        return self.format is LogFormat.JSON or (self.format is LogFormat.AUTO and not on_terminal)

    def opened(self, secrets: Collection[str], stream: BinaryIO | None = None) -> "Log":
        """The log of this process, on `stream` or standard output; `secrets` are masked in it."""
        # 4 MB of structlog, which commands that write no log can do without.
        from relay.telemetry.log import configure  # noqa: PLC0415

        on_terminal = stream is None and sys.stdout.isatty()
        return configure(
            self.level,
            json=self.as_json(on_terminal=on_terminal),
            stream=stream,
            secrets=secrets,
            levels=self.levels,
            fields=self.fields,
        )
