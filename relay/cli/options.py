"""Options and small manners that commands share."""

import sys
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


def on_terminal() -> bool:
    """Whether a person watches: then progress may be drawn. Machines get plain lines."""
    return sys.stdout.isatty()
