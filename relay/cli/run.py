"""`relay run`: settings in, records moved until a signal, an exit status that says why it ended."""

import asyncio

import typer

from relay.cli.options import ConfigOption
from relay.errors import ExitStatus


def register(app: typer.Typer) -> None:
    """Make the command known."""
    app.command()(run)


def run(config: ConfigOption = None) -> None:
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
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run_stream(settings))
        # Everything is settled and flushed; the fast wire's threads must not see Python end.
        leave(ExitStatus.OK)
