"""Lines of events → the requests that they would become, printed; what `relay map` does."""

import json
from collections.abc import Iterator
from typing import BinaryIO

import typer

from relay.cli.lines import numbered_lines
from relay.cli.masking import masked, masked_path, masked_update
from relay.clock import Clock
from relay.settings import Settings
from relay.stream.decoding import decode
from relay.stream.mapping import map_event
from relay.stream.mapping.requests import activities_path, activity_request
from relay.stream.model import (
    Activity,
    Request,
    RequestKind,
    Undecodable,
    Unmappable,
    Unwanted,
    UserPointUpdate,
)

Outcome = Activity | UserPointUpdate | Undecodable | Unmappable | Unwanted


def dry_run(file: BinaryIO, settings: Settings, clock: Clock, *, exact: bool) -> int:
    """Print a request for each event, and on standard error what is not sent as it came.

    Returns how many lines were rejected. Unless `exact`, personal data are masked.
    """
    # Without a datamart in the settings the path shows where it will stand.
    tracking = getattr(settings, "tracking", None)
    datamart_id = tracking.datamart_id if tracking else "DATAMART_ID"
    path = activities_path(datamart_id)
    rejected = 0
    for number, outcome in _outcomes(file, settings, datamart_id, clock):
        match outcome:
            case Activity() | UserPointUpdate():
                if isinstance(outcome, Activity):
                    request, notes = activity_request(path, outcome), outcome.notes
                else:
                    request, notes = outcome.request, outcome.request.notes
                typer.echo(_shown(request, exact=exact))
                for note in notes:
                    _say(number, "note", note)
            case Unwanted():
                _say(number, "skipped", f"{outcome.code}: {outcome.reason}")
            case Undecodable() | Unmappable():
                rejected += 1
                _say(number, "rejected", f"{outcome.code}: {outcome.reason}")
    return rejected


def _outcomes(
    file: BinaryIO, settings: Settings, datamart_id: str, clock: Clock
) -> Iterator[tuple[int, Outcome]]:
    decoding = settings.decoding.policy()
    mapping = settings.mapping.policy(settings.identity, datamart_id)
    for number, line in numbered_lines(file, decoding.record_bytes_max):
        event = decode(line, decoding)
        if isinstance(event, Undecodable | Unwanted):
            yield number, event
        else:
            yield number, map_event(event, mapping, clock.now_ms())


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


def _say(number: int, what: str, text: str) -> None:
    typer.echo(f"line {number}: {what}: {text}", err=True)
