"""Lines of events → the requests and import lines that they would become; what `relay map` does."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import BinaryIO

import jiter
import typer

from relay.apis.mediarithmics_document_imports import DOCUMENT_TYPE
from relay.cli.lines import numbered_lines
from relay.cli.map.masking import masked, masked_command, masked_path, masked_update
from relay.clock import Clock
from relay.errors import InputError
from relay.membership.mapping import changes_of_event, command
from relay.model import (
    DEFAULT_DESTINATION,
    Activity,
    Record,
    Request,
    RequestKind,
    Undecodable,
    Unmappable,
    Unwanted,
)
from relay.segments.model import SegmentCommand
from relay.settings import Settings
from relay.sources.looks import looks_like
from relay.stream.decoding import Segment, decode
from relay.stream.mapping import map_event
from relay.stream.mapping.requests import activities_path, activity_request
from relay.stream.routing import Choose, chooser

Lines = list[SegmentCommand]
# The settings that make a source of what looks like another product, and how to try them first.
_HOW = """these look like {name}. In the settings of relay run:

sources:
  - topics: [TOPIC]
    preset: {name}

What that makes of them: relay map explain FILE --mapping {name}"""
Outcome = Activity | Request | Lines | Undecodable | Unmappable | Unwanted


@dataclass(frozen=True, slots=True)
class Bound:
    """Which destination a line goes to, and the datamart of each by its name."""

    choose: Choose
    datamarts: Mapping[str, str]


def bound_for(settings: Settings, destination: str | None) -> Bound:
    """As the settings choose; with a destination, as if all lines were bound for that one.

    Raises:
        InputError: There is no such destination.
    """
    datamarts = {name: one.datamart_id for name, one in settings.sending.items()}
    if destination is not None and destination not in datamarts:
        raise InputError(
            f"there is no destination {destination}",
            hint=f"there are {', '.join(datamarts)}" if datamarts else "see `destinations`",
        )
    # Without a datamart in the settings the path shows where it will stand.
    datamarts = datamarts or {DEFAULT_DESTINATION: "DATAMART_ID"}
    # | destinations | routing says something | `--destination` | each line goes to           |
    # |--------------|------------------------|-----------------|-----------------------------|
    # | any          | any                    | given           | that one                    |
    # | one          | no                     | no              | that one                    |
    # | one          | yes                    | no              | as the settings choose      |
    # | several      | any                    | no              | as the settings choose      |
    only = destination or (next(iter(datamarts)) if len(datamarts) == 1 else None)
    if only is not None and (destination or not settings.routing.decides):
        return Bound(lambda *_: only, datamarts)
    return Bound(chooser(settings.routing, datamarts), datamarts)


def dry_run(file: BinaryIO, settings: Settings, bound: Bound, clock: Clock, *, exact: bool) -> int:
    """Print what each event becomes, and on standard error what is not sent as it came.

    Returns how many lines were rejected. Unless `exact`, personal data are masked.
    """
    rejected = 0
    others: dict[str, None] = {}
    for number, name, outcome, of_other in _outcomes(file, settings, bound, clock):
        to = name if len(bound.datamarts) > 1 else ""
        match outcome:
            case Activity():
                path = activities_path(bound.datamarts[name])
                request = activity_request(path, outcome)
                _say_request(number, to, request, outcome.notes, exact=exact)
            case Request():
                _say_request(number, to, outcome, outcome.notes, exact=exact)
            case list():
                for line in outcome:
                    typer.echo(_shown_line(line, exact=exact))
            case Unwanted():
                _say(number, "skipped", f"{outcome.code}: {outcome.reason}")
            case Undecodable() | Unmappable():
                rejected += 1
                _say(number, "rejected", f"{outcome.code}: {outcome.reason}")
                if of_other is not None:
                    others[of_other] = None
                    _say(number, "note", f"this looks like {of_other}")
    for name in others:
        typer.echo(_HOW.format(name=name), err=True)
    return rejected


def _outcomes(
    file: BinaryIO, settings: Settings, bound: Bound, clock: Clock
) -> Iterator[tuple[int, str, Outcome, str | None]]:
    """Each line's destination and outcome, and the preset that one which is no event looks like."""
    decoding = settings.decoding
    mappings = {
        name: settings.mapping.complete(settings.identity, datamart_id)
        for name, datamart_id in bound.datamarts.items()
    }
    mapping = next(iter(mappings.values()))
    segments = settings.segments
    changes = segments.change_policy(decoding, mapping) if segments.membership.enabled else None
    for number, line in numbered_lines(file, decoding.record_bytes_max):
        event = decode(line, decoding)
        now_ms = clock.now_ms()
        if isinstance(event, Undecodable | Unwanted):
            yield number, "", event, _preset_for(line) if isinstance(event, Undecodable) else None
        elif isinstance(event, Segment) and changes is not None:
            found = changes_of_event(event, changes, now_ms)
            if isinstance(found, Unmappable | Unwanted):
                yield number, "", found, None
            else:
                lines = [command(c, changes.expiration_minutes, now_ms) for c in found]
                yield number, "", lines, None
        else:
            name = bound.choose(Record("", 0, number, -1, None, line), event)
            if isinstance(name, Unmappable):
                yield number, "", name, None
            else:
                yield number, name, map_event(event, mappings[name], now_ms), None


def _preset_for(line: bytes) -> str | None:
    try:
        return looks_like(jiter.from_json(line))
    except ValueError:
        return None


def _say_request(
    number: int, to: str, request: Request, notes: Sequence[str], *, exact: bool
) -> None:
    typer.echo(_shown(request, to, exact=exact))
    for note in notes:
        _say(number, "note", note)


def _shown(request: Request, to: str, *, exact: bool) -> str:
    path, body = request.path, request.body.decode()
    if not exact:
        # The standard library keeps integers of any size, and every other digit, as they are.
        document = json.loads(body)
        if request.kind is RequestKind.USER_POINT:
            path, document = masked_path(path), masked_update(path, document)
        else:
            document = masked(document)
        body = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
    name = f'"destination":"{to}",' if to else ""
    return f'{{{name}"method":"{request.method}","path":"{path}","body":{body}}}'


def _shown_line(line: SegmentCommand, *, exact: bool) -> str:
    fields = line.model_dump(mode="json", exclude_none=True)
    shown = {"import": DOCUMENT_TYPE, "line": fields if exact else masked_command(fields)}
    return json.dumps(shown, ensure_ascii=False, separators=(",", ":"))


def _say(number: int, what: str, text: str) -> None:
    typer.echo(f"line {number}: {what}: {text}", err=True)
