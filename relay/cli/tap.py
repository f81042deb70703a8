"""`relay tap`: a live sample of events and what became of them, from a running relay."""

import contextlib
import itertools
import json
from collections.abc import Generator, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from relay.cli.admin_port import TIMEOUT_S, admin_url
from relay.cli.options import ConfigOption, JsonOption
from relay.errors import DestinationError, InputError
from relay.telemetry.account_digest import digest_of

PersonalDataOption = Annotated[
    bool, typer.Option("--show-personal-data", help="Show content as it is; needs the token.")
]
TokenOption = Annotated[
    Path | None,
    typer.Option(
        "--token-file", metavar="FILE", show_default=False, help="The token of admin.token."
    ),
]


def register(app: typer.Typer) -> None:
    """Make the command known."""
    app.command()(tap)


def tap(  # noqa: PLR0917 - options of a command are given by name
    url: Annotated[
        str | None,
        typer.Option(metavar="URL", help="Admin address. Default: the one of the settings."),
    ] = None,
    topic: Annotated[
        str | None, typer.Option(metavar="NAME", show_default=False, help="Only of this topic.")
    ] = None,
    code: Annotated[
        str | None,
        typer.Option(
            metavar="CODE", show_default=False, help="Only with this code: http_200, http_422, …"
        ),
    ] = None,
    destination: Annotated[
        str | None,
        typer.Option(metavar="NAME", show_default=False, help="Only to this destination."),
    ] = None,
    account: Annotated[
        str | None,
        typer.Option(
            metavar="ID", show_default=False, help="Only of this account. Digests are sent, not it."
        ),
    ] = None,
    rate: Annotated[float, typer.Option(min=0.01, max=100, help="Samples a second at most.")] = 5.0,
    limit: Annotated[
        int | None, typer.Option(min=1, show_default=False, help="End after so many.")
    ] = None,
    show_personal_data: PersonalDataOption = False,
    token_file: TokenOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Watch a sample of events and what becomes of each.

    A line for each: where it is in Kafka, what became of it, and its shape.

    Values are masked unless asked. It costs the relay nothing while nobody looks, and is bounded
    in its rate: it is a sample, not a record of everything. Ctrl-C ends it.

    Example: relay tap --code http_422 --limit 3
    """
    where = url or admin_url(config)
    query = {
        "topic": topic,
        "code": code,
        "destination": destination,
        "account_digest": account and str(digest_of(account)),
        "rate": rate,
        "content": "exact" if show_personal_data else "shape",
    }
    asked = {name: value for name, value in query.items() if value is not None}
    headers = _authorization(where, token_file, config)
    with contextlib.closing(_samples(where, asked, headers)) as samples:
        for sample in itertools.islice(samples, limit):
            typer.echo(json.dumps(sample, ensure_ascii=False) if as_json else _told(sample))


def _samples(
    where: str, asked: Mapping[str, Any], headers: Mapping[str, str]
) -> Generator[dict[str, Any]]:
    """What the relay shows, as it comes.

    Raises:
        DestinationError: It does not answer, does not let us look, or has ended.
    """
    import httpx

    try:
        with (
            httpx.Client(base_url=where, trust_env=False, timeout=TIMEOUT_S) as client,
            client.stream("GET", "/tap", params=asked, headers=headers, timeout=30) as answer,
        ):
            if answer.status_code != httpx.codes.OK:
                text = answer.read().decode("utf-8", "replace").strip().splitlines()
                raise DestinationError(
                    f"{where}: {text[0] if text else answer.status_code}",
                    hint="--token-file FILE gives the token",
                )
            for line in filter(None, answer.iter_lines()):
                sample = json.loads(line)
                if "refused" in sample:
                    raise DestinationError(f"{where}: {sample['refused']}", hint="try again later")
                yield sample
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise DestinationError(
            f"{where}: the tap ended: {type(error).__name__}", hint="does the relay run?"
        ) from None


def _told(sample: dict[str, Any]) -> str:
    tried = f", attempt {sample['attempts']}" if sample.get("attempts", 1) > 1 else ""
    together = f", with {sample['events'] - 1} others" if sample.get("events", 1) > 1 else ""
    reason = f": {sample['reason']}" if sample.get("reason") else ""
    code = f" ({sample['code']}{tried}{together})" if sample.get("code") else ""
    content = f"\n  {sample['content']}" if sample.get("content") else ""
    return f"{sample['position']}  {sample['became']}{code}{reason}{content}"


def _authorization(where: str, token_file: Path | None, config: Path | None) -> dict[str, str]:
    """The header with the token, where one is given and nobody on the way can read it."""
    if token_file is None:
        return {}
    from relay.settings import load

    if not load(config, needs=["http"]).http.may_be_clear(where):
        raise InputError(
            f"{where}: by http:// everybody on the way can read the token",
            hint="forward the port to this machine, or name the host in http.clear_hosts",
        )
    return {"authorization": f"Bearer {_token(token_file)}"}


def _token(path: Path) -> str:
    from relay.secret_file import SecretUnreadable, read_secret

    try:
        return read_secret(path)
    except SecretUnreadable as error:
        raise InputError(f"{path}: {error}", hint="name the file with the token") from None
