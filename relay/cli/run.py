"""`relay run`: settings in, records moved until a signal, an exit status that says why it ended."""

import gc
from collections.abc import Callable, Coroutine, Sequence
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from relay.cli.options import ConfigOption, GivenSpan
from relay.cli.reporting import report
from relay.errors import ExitStatus

if TYPE_CHECKING:  # heavy: imported where it is used
    from asyncio import AbstractEventLoop

    from relay.settings import Settings


FromOption = Annotated[
    str | None,
    typer.Option(
        "--from",
        metavar="TIME",
        show_default=False,
        help="Begin at the first record of this time: 2h, 7d, or RFC 3339. Needs --group.",
    ),
]
ToOption = Annotated[
    str | None,
    typer.Option(
        "--to",
        metavar="TIME",
        show_default=False,
        help="End by itself before the first record of this time.",
    ),
]
GroupOption = Annotated[
    str | None,
    typer.Option(
        "--group",
        metavar="NAME",
        show_default=False,
        help="Consumer group of the backfill; not that of the settings.",
    ),
]


def register(app: typer.Typer) -> None:
    """Make the command known."""
    app.command()(run)


def run(  # noqa: PLR0917 - options of a command are given by name
    config: ConfigOption = None,
    workers: Annotated[
        int,
        typer.Option(
            min=1,
            max=64,
            help="Processes in the consumer group, one core each. The admin port of the next is "
            "one higher.",
        ),
    ] = 1,
    since: FromOption = None,
    until: ToOption = None,
    group: GroupOption = None,
    supervised: Annotated[
        bool,
        typer.Option("--supervised", hidden=True, help="Standard input ends with the supervisor."),
    ] = False,
) -> None:
    """Move app events from Kafka to the tracking API until stopped.

    The first signal (also SIGHUP and SIGQUIT) drains: nothing new is read, what is in flight may
    finish, what is settled is committed. A second one ends it at once. Logs go to standard output,
    one fact a line.

    With --from it reads again what was produced from that time on, in a group of its own, beside
    the relay that runs; the same command goes on where it was interrupted. An event that travels
    alone has the unique key that it had the first time. With --to it ends by itself.

    Example: relay run --config relay.yaml
    """
    import uvloop

    from relay.app.following import SettingsFile
    from relay.app.run import STREAM_SECTIONS, run_stream
    from relay.disk import temporary_directory
    from relay.process_start import follow_supervisor
    from relay.settings import DEFAULT_FILE, load

    if supervised:
        follow_supervisor()
    path = config or (DEFAULT_FILE if DEFAULT_FILE.exists() else None)

    def read() -> "Settings":
        return load(path, needs=STREAM_SECTIONS)

    file = None if path is None else SettingsFile(path, read)
    settings = read()
    if since is not None or until is not None or group is not None:
        if since is None or group is None or workers > 1:
            raise typer.BadParameter("--from needs --group, --to needs both, and one worker")
        _backfill(settings, GivenSpan(since, until), group)
    if settings.segments.membership.enabled:
        temporary_directory()  # better said now than at the first file
    _spare_the_collector()
    if workers > 1:
        arguments = [] if config is None else ["--config", str(config)]
        _run_and_leave(None, _supervise(settings, workers, arguments))
    _run_and_leave(uvloop.new_event_loop, run_stream(settings, file=file))


def _backfill(settings: "Settings", given: GivenSpan, group: str) -> NoReturn:
    """What was produced in a span of time, by a consumer group of its own."""
    import uvloop
    from pydantic import ValidationError

    from relay.cli.backfill import backfill, span_of
    from relay.settings.kafka import KafkaSettings

    try:
        group = KafkaSettings(group_id=group).group_id
    except ValidationError as error:
        why = error.errors(include_url=False, include_input=False)[0]["msg"]
        raise typer.BadParameter(f"--group: {why.removeprefix('Value error, ')}") from None
    ours = settings.kafka.group_id
    if group in (ours, settings.segments.membership_group(ours)):
        raise typer.BadParameter("the group of the settings would lose its place: name another")
    span = span_of(given)
    _spare_the_collector()
    _run_and_leave(uvloop.new_event_loop, backfill(settings, span, group))


def _run_and_leave(
    new_loop: "Callable[[], AbstractEventLoop] | None", main: Coroutine[Any, Any, int | None]
) -> NoReturn:
    """Run `main` to its end and end the process, with the status it returns or what it raised has.

    The loop is never closed: from then on a late signal would kill the process, and have its
    status; and a thread that still waits for the network must not hold up the end.
    """
    import asyncio

    from relay.process_exit import leave

    with asyncio.Runner(loop_factory=new_loop) as runner:
        try:
            status = runner.run(main)
        # Whatever it is, it ends as a status and a line or two: never as a trace, which may hold
        # data.
        except (Exception, asyncio.CancelledError, KeyboardInterrupt) as error:  # noqa: BLE001 - reported
            status = report(error)
        leave(status or ExitStatus.OK)


def _spare_the_collector() -> None:
    """Let garbage collection look at what may be garbage.

    What was imported stays as long as the process; what of it is garbage is 200 kB, and to find
    it takes a tenth of the start. And events are freed by their counts: what is in cycles,
    exceptions mostly, may wait until there is more of it.
    """
    gc.freeze()
    gc.set_threshold(_COLLECT_AFTER)
    gc.enable()


_COLLECT_AFTER = 10_000
"""Objects made and not freed. Python's 700 is less than what a hundred waiting events are."""


async def _supervise(settings: "Settings", count: int, arguments: Sequence[str]) -> int:
    from prometheus_client import CollectorRegistry

    from relay.backoff import RestartPolicy
    from relay.settings.secrets import secret_values
    from relay.settings.sources import process_environ
    from relay.telemetry.telemetry import Telemetry
    from relay.workers import Supervisor, workers

    log = settings.log.opened(secret_values(settings))
    made = workers(count, arguments, process_environ(), settings)
    telemetry = Telemetry(log, CollectorRegistry())
    return await Supervisor(RestartPolicy(), made, telemetry.emit).run()
