"""What the commands about users share: the words for whom, how results are shown."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import orjson
import typer

from relay.errors import InputError
from relay.model import Unmappable

NEEDS = ["tracking", "decoding", "identity", "mapping"]


def refused(why: Unmappable) -> InputError:
    """The error for options that give no request."""
    return InputError(f"{why.code}: {why.reason}")


def document(**fields: Any) -> bytes:
    """An event out of options."""
    return orjson.dumps(fields)


def show_one(found: dict[str, Any], *, as_json: bool) -> None:
    """One profile or choice: JSON, or a line a field."""
    if as_json:
        typer.echo(json.dumps(found, ensure_ascii=False))
        return
    show_rows([(name, _text(name, value)) for name, value in found.items()])


def show_choices(found: Sequence[dict[str, Any]], *, as_json: bool) -> None:
    """Choices: JSON, or a row each."""
    if as_json:
        typer.echo(json.dumps(list(found), ensure_ascii=False))
        return
    if not found:
        typer.echo("no choices: the user has made none, or is not known", err=True)
        return
    own = ("$processing_id", "$choice_acceptance_value", "$choice_ts")
    rows: list[tuple[str, ...]] = [("processing", "accepted", "when", "custom fields")]
    for choice in found:
        custom = {k: v for k, v in choice.items() if not k.startswith("$")}
        rows.append(
            (
                *(_text(name, choice.get(name)) for name in own),
                json.dumps(custom, ensure_ascii=False) if custom else "",
            )
        )
    show_rows(rows)


def show_rows(rows: Sequence[Sequence[str]]) -> None:
    """Columns as wide as they must be, the last one free."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]) - 1)]
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row, [*widths, 0], strict=True)]
        typer.echo("  ".join(cells).rstrip())


def _text(name: str, value: Any) -> str:
    if name.endswith("_ts") and isinstance(value, int):
        moment = datetime.fromtimestamp(value / 1000, UTC)
        return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False)
