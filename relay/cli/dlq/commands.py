"""`relay dlq summary | list | show | replay`: the dead-letter topic, and sending it again."""

import json
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from relay.cli.commands import Commands
from relay.cli.options import ConfigOption, JsonOption
from relay.model import DeadLetterClass

if TYPE_CHECKING:  # imported where it is used: a command should answer at once
    from relay.dead_letters.selection import Selection
    from relay.settings import Settings

_SECTIONS = ("kafka", "dead_letter")

dlq = Commands(help="Dead letters: list them, look at one, send them again.")


def register(app: typer.Typer) -> None:
    """Make the commands known."""
    app.add_typer(dlq, name="dlq")


TopicOption = Annotated[
    list[str] | None,
    typer.Option(
        "--topic", metavar="NAME", help="Dead-letter topic; repeat for several. Default: settings."
    ),
]


@dataclass(frozen=True, slots=True)
class Filters:
    """What restricts the letters by what their last envelope says."""

    code: Annotated[
        list[str] | None,
        typer.Option("--code", metavar="CODE", help="Only these codes; repeat for several."),
    ] = None
    cls: Annotated[
        list[DeadLetterClass] | None,
        typer.Option("--class", help="Only these classes; repeat for several.", show_choices=True),
    ] = None
    destination: Annotated[
        list[str] | None,
        typer.Option(
            "--destination",
            metavar="NAME",
            help="Of several datamarts only those that were bound for this one.",
        ),
    ] = None
    since: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            help="Dead-lettered at or after: 2h, 7d, or RFC 3339.",
            show_default=False,
        ),
    ] = None
    until: Annotated[
        str | None,
        typer.Option(
            metavar="TIME", help="Dead-lettered before: 2h, 7d, or RFC 3339.", show_default=False
        ),
    ] = None

    def selection(
        self, users: Sequence[str] | None = None, positions: Sequence[str] | None = None
    ) -> "Selection":
        """With them, and with what a command has beside them."""
        from relay.cli.dlq.letters import wanted

        return wanted(
            codes=self.code, classes=self.cls, destinations=self.destination, since=self.since,
            until=self.until, users=users, positions=positions,
        )  # fmt: skip


UserOption = Annotated[
    list[str] | None,
    typer.Option(
        "--user", metavar="ID", help="Only of this account, email, email hash or device id."
    ),
]
AtOption = Annotated[
    list[str] | None,
    typer.Option(
        "--at",
        metavar="POSITION",
        help="topic-partition-offset or …-first..last, of the letter or of its record.",
    ),
]

LimitOption = Annotated[int | None, typer.Option(min=1, help="Stop after so many.")]
ToOption = Annotated[
    str | None,
    typer.Option(
        "--to",
        metavar="NAME",
        help="Topic to write to. Default: the one that the record came from.",
        show_default=False,
    ),
]
RateOption = Annotated[
    float | None,
    typer.Option("--rate", min=0.001, help="Records a second at most.", show_default=False),
]
DirectOption = Annotated[
    bool,
    typer.Option(
        "--direct",
        help="Send them to the API from here, past the topic; logs go to standard error.",
    ),
]
AllOption = Annotated[
    bool, typer.Option("--all", help="All dead letters: needed when nothing restricts them.")
]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Only say what would be sent where.")]


def _settings(config: Path | None, needs: Sequence[str] = _SECTIONS) -> "Settings":
    """Settings with these sections; logs are off from here on."""
    from relay.settings import load
    from relay.telemetry.log import silence

    silence()
    return load(config, needs=needs)


@dlq.command()
def summary(
    config: ConfigOption = None,
    topic: TopicOption = None,
    *,
    filters: Filters,
    as_json: JsonOption = False,
) -> None:
    """Count dead letters by day, topic, class and code.

    With --json one object a line.

    Days are in UTC, those of the last failure. The latest day comes first.

    Example: relay dlq summary --since 7d
    """
    import asyncio

    from rich.console import Console
    from rich.table import Table

    from relay.cli.dlq import letters
    from relay.dead_letters import search

    settings = _settings(config)
    wanted = filters.selection()
    counted = letters.Summary()
    found = asyncio.run(search.look(settings, topic or [], wanted, None, counted.add))
    if as_json:
        for row in counted.rows():
            typer.echo(json.dumps(row))
        return
    table = Table(box=None, header_style="dim", pad_edge=False)
    for name in ("day", "topic", "class", "code", "count", "first", "last"):
        table.add_column(name, justify="right" if name == "count" else "left", no_wrap=True)
    for row in counted.rows():
        times = (row["first"][11:19], row["last"][11:19])
        cells = (row["day"], row["topic"], row["class"], row["code"], f"{row['count']:,}", *times)
        table.add_row(*cells)
    if found.counts:
        Console(highlight=False, soft_wrap=True).print(table)
    typer.echo(found.summary(), err=True)


@dlq.command(name="list")
def list_letters(
    config: ConfigOption = None,
    topic: TopicOption = None,
    *,
    filters: Filters,
    user: UserOption = None,
    at: AtOption = None,
    limit: LimitOption = None,
    as_json: JsonOption = False,
) -> None:
    """List dead letters, oldest first in each partition.

    With --json one object a line.

    The last line, on standard error, says how many they are and whether there are more.

    Example: relay dlq list --code http_400 --since 2h
    """
    import asyncio

    from relay.cli.dlq import letters
    from relay.dead_letters import search
    from relay.dead_letters.stored import OwnLetter

    settings = _settings(config)
    wanted = filters.selection(user, at)
    shown = letters.as_line if as_json else letters.as_row

    def each(letter: OwnLetter) -> None:
        typer.echo(shown(letter))

    found = asyncio.run(search.look(settings, topic or [], wanted, limit, each))
    if not as_json or found.more:
        typer.echo(found.summary(), err=True)


@dlq.command()
def show(
    position: Annotated[
        str, typer.Argument(metavar="POSITION", help="topic-partition-offset, as in the list.")
    ],
    config: ConfigOption = None,
    topic: TopicOption = None,
    show_personal_data: Annotated[
        bool,
        typer.Option("--show-personal-data", help="Print key, value and headers as they are."),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Show one dead letter: each failure, and the record.

    The record is masked unless asked.

    POSITION is that of the letter, or of its record in the topic that it came from. Of a letter
    about some events of a record those events are shown, where a mapping of the settings made them.

    Example: relay dlq show app-events.dlq-0-17
    """
    import asyncio

    from relay.cli.dlq import letters
    from relay.dead_letters import search
    from relay.dead_letters.events import LetterReader
    from relay.dead_letters.stored import OwnLetter
    from relay.errors import InputError

    settings = _settings(config, (*_SECTIONS, "sources", "mappings", "decoding"))
    wanted = letters.wanted(positions=[position])
    kept: list[OwnLetter] = []
    asyncio.run(search.look(settings, topic or [], wanted, None, kept.append))
    if not kept:
        raise InputError(f"no dead letter at {position}", hint="relay dlq list shows positions")
    reader = LetterReader(settings)
    for letter in kept:
        full = letters.in_full(letter, reader.parts(letter), exact=show_personal_data)
        typer.echo(json.dumps(full) if as_json else letters.in_words(full))


@dlq.command()
def replay(
    config: ConfigOption = None,
    topic: TopicOption = None,
    *,
    filters: Filters,
    user: UserOption = None,
    at: AtOption = None,
    to: ToOption = None,
    limit: LimitOption = None,
    rate: RateOption = None,
    direct: DirectOption = False,
    everything: AllOption = False,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> None:
    """Send dead letters again, to the topic they came from.

    Each keeps its whole history.

    With --direct they go straight to the API, as relay run would send them; exit status 10 when
    any fails again. Their order with what is on the topic meanwhile is then not kept.

    They stay in the dead-letter topic as well. One that was truncated because it was too large for
    its topic is counted and left alone. A record that is replayed twice is sent to the API
    with the same unique key. Only what is there when the command starts is read.

    Example: relay dlq replay --code http_400 --since 2h --rate 50 --dry-run
    """
    from relay.cli.dlq.by_topic import replay_by_topic

    restrictions: tuple[object, ...] = (*astuple(filters), user, at, limit)
    if not everything and not any(restrictions):
        raise typer.BadParameter("nothing restricts the dead letters; say which, or --all")
    if direct and (to is not None or dry_run):
        raise typer.BadParameter("--direct goes to the API: neither --to nor --dry-run fit it")
    wanted = filters.selection(user, at)
    topics = topic or []
    if direct:
        from relay.app.run import STREAM_SECTIONS
        from relay.cli.dlq.direct import replay_directly

        settings = _settings(config, STREAM_SECTIONS)
        replay_directly(settings, topics, wanted, limit, per_second=rate, as_json=as_json)
    replay_by_topic(
        _settings(config), topics, wanted, limit,
        to=to, per_second=rate, dry_run=dry_run, as_json=as_json,
    )  # fmt: skip
