"""`relay run`: settings in, records moved until a signal, an exit status that says why it ended."""

import asyncio
import gc
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from relay.cli.options import ConfigOption
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
) -> None:
    """Move app events from Kafka to the tracking API until SIGTERM or Ctrl-C.

    The first signal drains: nothing new is read, what is in flight may finish, what is settled is
    committed. A second signal leaves at once. Logs go to standard output, one fact a line.

    Example: relay run --config relay.yaml
    """
    import uvloop

    from relay.app import STREAM_SECTIONS, run_stream
    from relay.process_exit import leave
    from relay.settings import load

    settings = load(config, needs=STREAM_SECTIONS)
    if workers > 1:
        arguments = [] if config is None else ["--config", str(config)]
        leave(asyncio.run(_supervise(settings, workers, arguments)))
    _spare_the_collector()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run_stream(settings))
        # Everything is settled; a thread that still waits for the network must not hold up the end.
        leave(ExitStatus.OK)


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
