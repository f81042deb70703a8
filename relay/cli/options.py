"""Options and small manners that commands share."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config",
        "-c",
        metavar="FILE",
        show_default=False,
        help="Settings file; ./relay.yaml when there is one. RELAY_… variables win over it.",
    ),
]

JsonOption = Annotated[
    bool,
    typer.Option("--json", help="Write JSON for a machine instead of text for people."),
]


@dataclass(frozen=True, slots=True)
class GivenSpan:
    """Two times as somebody wrote them; without the second there is no end."""

    since: str
    until: str | None


def on_terminal() -> bool:
    """Whether a person watches a terminal that can redraw. Machines get plain lines."""
    from relay.settings.sources import process_environ

    return sys.stdout.isatty() and process_environ().get("TERM") != "dumb"


def only_topic(topics: tuple[str, ...], pattern: str | None) -> str:
    """The topic of the settings, where it is one.

    Raises:
        BadParameter: Several are read, so the command line must name one.
    """
    if pattern is not None or len(topics) != 1:
        raise typer.BadParameter("several topics are read; name one", param_hint="--topic")
    return topics[0]
