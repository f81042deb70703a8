"""What the commands about users share: the client, the words for whom, how results are shown."""

import asyncio
import json
import random
from collections.abc import AsyncIterator, Generator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import httpx
import orjson
import typer

from relay.apis.caller import Caller
from relay.apis.mediarithmics_user_points import HINTS, VENDOR, UserPoints
from relay.cli.users.files import CONCURRENCY
from relay.errors import InputError
from relay.model import Unmappable
from relay.settings import Settings
from relay.settings.tracking import TrackingSettings
from relay.stream.sending.tls import client_context
from relay.stream.sending.token import Authorization

NEEDS = ["tracking", "decoding", "identity", "mapping"]


def refused(why: Unmappable) -> InputError:
    """The error for options that give no request."""
    return InputError(f"{why.code}: {why.reason}")


def document(**fields: Any) -> bytes:
    """An event out of options."""
    return orjson.dumps(fields)


@asynccontextmanager
async def user_points(settings: Settings) -> AsyncIterator[UserPoints]:
    """The API of the settings' datamart."""
    tracking = settings.tracking
    proxy = tracking.proxy
    async with httpx.AsyncClient(
        base_url=tracking.base_url,
        auth=_Token(tracking.authorization()),
        verify=client_context(
            tracking.ca_file, tracking.client_cert_file, tracking.client_key_file
        ),
        proxy=None if proxy is None else httpx.Proxy(proxy.get_secret_value()),
        # Our settings are the only source: no proxy, CA or .netrc of the environment.
        trust_env=False,
        timeout=_timeout(tracking),
        limits=httpx.Limits(
            max_connections=CONCURRENCY,
            max_keepalive_connections=CONCURRENCY,
            keepalive_expiry=tracking.keepalive_s,
        ),
        follow_redirects=False,  # credentials never leave for another host
    ) as client:
        rng = random.Random()  # noqa: S311 - jitter, no secrets
        yield UserPoints(Caller(VENDOR, client, rng, hints=HINTS))


class _Token(httpx.Auth):
    """The token as it is now: it may be renewed while a long file is under way."""

    def __init__(self, authorization: Authorization) -> None:
        self._authorization = authorization

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Put it into the header."""
        now = asyncio.get_running_loop().time()
        request.headers["authorization"] = self._authorization.header(now)
        yield request


def _timeout(tracking: TrackingSettings) -> httpx.Timeout:
    return httpx.Timeout(
        connect=tracking.connect_timeout_s,
        write=tracking.write_timeout_s,
        read=tracking.read_timeout_s,
        pool=tracking.total_timeout_s,
    )


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
