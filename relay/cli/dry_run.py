"""Lines of events → the requests and import lines that they would become; what `relay map` does."""

import json
from collections.abc import Iterator, Sequence
from typing import BinaryIO

import jiter
import typer

from relay.apis.mediarithmics_document_imports import DOCUMENT_TYPE
from relay.cli.lines import numbered_lines
from relay.cli.masking import masked, masked_command, masked_path, masked_update
from relay.clock import Clock
from relay.membership.mapping import changes_of_event, command
from relay.model import (
    Activity,
    Request,
    RequestKind,
    Undecodable,
    Unmappable,
    Unwanted,
    UserPointUpdate,
)
from relay.segments.model import SegmentCommand
from relay.settings import Settings
from relay.sources.looks import looks_like
from relay.stream.decoding import Segment, decode
from relay.stream.mapping import map_event
from relay.stream.mapping.requests import activities_path, activity_request

Lines = list[SegmentCommand]
# The settings that make a source of what looks like another product, and how to try them first.
_HOW = """these look like {name}. In the settings of relay run:

sources:
  - topics: [TOPIC]
    preset: {name}

What that makes of them: relay map explain FILE --mapping {name}"""
Outcome = Activity | UserPointUpdate | Lines | Undecodable | Unmappable | Unwanted


def dry_run(file: BinaryIO, settings: Settings, clock: Clock, *, exact: bool) -> int:
    """Print what each event becomes, and on standard error what is not sent as it came.

    Returns how many lines were rejected. Unless `exact`, personal data are masked.
    """
    # Without a datamart in the settings the path shows where it will stand.
    tracking = getattr(settings, "tracking", None)
    datamart_id = tracking.datamart_id if tracking else "DATAMART_ID"
    path = activities_path(datamart_id)
    rejected = 0
    others: dict[str, None] = {}
    for number, outcome, of_other in _outcomes(file, settings, datamart_id, clock):
        match outcome:
            case Activity():
                _say_request(number, activity_request(path, outcome), outcome.notes, exact=exact)
            case UserPointUpdate(request):
                _say_request(number, request, request.notes, exact=exact)
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
    file: BinaryIO, settings: Settings, datamart_id: str, clock: Clock
) -> Iterator[tuple[int, Outcome, str | None]]:
    """Each line's outcome, and the preset that a line which is no event looks like."""
    decoding = settings.decoding
    mapping = settings.mapping.complete(settings.identity, datamart_id)
    segments = settings.segments
    changes = segments.change_policy(decoding, mapping) if segments.membership.enabled else None
    for number, line in numbered_lines(file, decoding.record_bytes_max):
        event = decode(line, decoding)
        now_ms = clock.now_ms()
        if isinstance(event, Undecodable | Unwanted):
            yield number, event, _preset_for(line) if isinstance(event, Undecodable) else None
        elif isinstance(event, Segment) and changes is not None:
            found = changes_of_event(event, changes, now_ms)
            if isinstance(found, Unmappable | Unwanted):
                yield number, found, None
            else:
                lines = [command(c, changes.expiration_minutes, now_ms) for c in found]
                yield number, lines, None
        else:
            yield number, map_event(event, mapping, now_ms), None


def _preset_for(line: bytes) -> str | None:
    try:
        return looks_like(jiter.from_json(line))
    except ValueError:
        return None


def _say_request(number: int, request: Request, notes: Sequence[str], *, exact: bool) -> None:
    typer.echo(_shown(request, exact=exact))
    for note in notes:
        _say(number, "note", note)


def _shown(request: Request, *, exact: bool) -> str:
    path, body = request.path, request.body.decode()
    if not exact:
        # The standard library keeps integers of any size, and every other digit, as they are.
        document = json.loads(body)
        if request.kind is RequestKind.USER_POINT:
            path, document = masked_path(path), masked_update(path, document)
        else:
            document = masked(document)
        body = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
    return f'{{"method":"{request.method}","path":"{path}","body":{body}}}'


def _shown_line(line: SegmentCommand, *, exact: bool) -> str:
    fields = line.model_dump(mode="json", exclude_none=True)
    shown = {"import": DOCUMENT_TYPE, "line": fields if exact else masked_command(fields)}
    return json.dumps(shown, ensure_ascii=False, separators=(",", ":"))


def _say(number: int, what: str, text: str) -> None:
    typer.echo(f"line {number}: {what}: {text}", err=True)
