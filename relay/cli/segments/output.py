"""What segment commands write: JSON for machines or lines for people, and options they share."""

import json
from collections.abc import Iterable
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Say what would be changed, and change nothing.")
]


def result(document: Any, lines: Iterable[str], *, as_json: bool) -> None:
    """Write one or the other."""
    if as_json:
        print_json(document)
    else:
        print_lines(lines)


def print_json(document: Any) -> None:
    """Write a document on one line."""
    typer.echo(json.dumps(document, default=_text))


def print_lines(lines: Iterable[str]) -> None:
    """Write lines."""
    for line in lines:
        typer.echo(line)


def shown(value: object) -> str:
    """A value as people read it: nothing is nothing, and times are to the minute, in UTC."""
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case datetime():
            return f"{value.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
        case _:
            return str(value)


def plain(value: Any) -> dict[str, Any]:
    """The fields of a model or a dataclass."""
    return dict(value.model_dump() if hasattr(value, "model_dump") else asdict(value))


def _text(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)
