"""`relay run`: settings in, records moved until a signal, an exit status that says why it ended."""

import asyncio
import gc
from collections.abc import Callable, Coroutine, Sequence
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from relay.cli.options import ConfigOption
from relay.cli.reporting import report
from relay.errors import ExitStatus

if TYPE_CHECKING:  # heavy: imported where it is used
    from relay.settings import Settings


def register(app: typer.Typer) -> None:
    """Make the command known."""
    app.command()(run)


def run(
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
    supervised: Annotated[
        bool,
        typer.Option("--supervised", hidden=True, help="Standard input ends with the supervisor."),
    ] = False,
) -> None:
    """Move app events from Kafka to the tracking API until SIGTERM or Ctrl-C.

    The first signal (also SIGHUP and SIGQUIT) drains: nothing new is read, what is in flight may
    finish, what is settled is committed. A second one leaves at once. Logs go to standard output,
    one fact a line.

    Example: relay run --config relay.yaml
    """
    import uvloop

    from relay.app import STREAM_SECTIONS, run_stream
    from relay.disk import temporary_directory
    from relay.process_start import follow_supervisor
    from relay.settings import load

    if supervised:
        follow_supervisor()
    settings = load(config, needs=STREAM_SECTIONS)
    if settings.segments.membership.enabled:
        temporary_directory()  # better said now than at the first file
    if workers > 1:
        arguments = [] if config is None else ["--config", str(config)]
        _run_and_leave(asyncio.new_event_loop, _supervise(settings, workers, arguments))
    _spare_the_collector()
    _run_and_leave(uvloop.new_event_loop, run_stream(settings))


def _run_and_leave(
    new_loop: Callable[[], asyncio.AbstractEventLoop], main: Coroutine[Any, Any, int | None]
) -> NoReturn:
    """Run `main` to its end and end the process, with the status it returns or what it raised has.

    The loop is never closed: from then on a late signal would kill the process, and have its
    status; and a thread that still waits for the network must not hold up the end.
    """
    from relay.process_exit import leave

    with asyncio.Runner(loop_factory=new_loop) as runner:
        try:
            status = runner.run(main)
        except (Exception, asyncio.CancelledError, KeyboardInterrupt) as error:  # noqa: BLE001 - reported
            status = report(error)
        leave(status or ExitStatus.OK)


def _spare_the_collector() -> None:
    """Let garbage collection look at what may be garbage.

    What was imported stays as long as the process. And events are freed by their counts: what is
    in cycles, exceptions mostly, may wait until there is more of it.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_COLLECT_AFTER)


_COLLECT_AFTER = 10_000
"""Objects made and not freed. Python's 700 is less than what a hundred waiting events are."""


async def _supervise(settings: "Settings", count: int, arguments: Sequence[str]) -> int:
    import sys

    from prometheus_client import CollectorRegistry

    from relay.settings.sources import process_environ
    from relay.telemetry.log import configure
    from relay.telemetry.telemetry import Telemetry
    from relay.workers import RestartPolicy, Supervisor, workers

    log = configure(settings.log.level, json=settings.log.as_json(on_terminal=sys.stdout.isatty()))
    made = workers(count, arguments, process_environ(), settings)
    telemetry = Telemetry(log, CollectorRegistry())
    return await Supervisor(RestartPolicy(), made, telemetry.emit).run()
