"""The `relay` command: arguments in, exit status out.

One file or folder per command, registered here.

What a command imports at the top of its file is paid for by every start of `relay`: anything
heavy (Kafka, HTTP, the pipeline) is imported inside the function that runs it.
"""

from collections.abc import Sequence
from types import ModuleType
from typing import Annotated, NoReturn

import typer

from relay import __version__
from relay.cli import check, demo, emit, run, sandbox, schema, send, status, tap, top
from relay.cli.commands import Commands
from relay.cli.dlq import commands as dlq
from relay.cli.map import commands as map_events
from relay.cli.reporting import output_closed, report
from relay.cli.segments import commands as segments
from relay.cli.users import commands as users
from relay.errors import ExitStatus, RelayError

app = Commands(
    name="relay",
    pretty_exceptions_enable=False,  # they print local variables, which hold records and tokens
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"relay {__version__}")
        raise typer.Exit


@app.callback()
def relay(
    _version: Annotated[
        bool,
        typer.Option(
            "--version", "-V", callback=_version, is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None:
    """Move app events from Kafka to the mediarithmics tracking API: in order, losing nothing."""


def entry() -> NoReturn:
    """What the shell calls: `main`, ending as `relay.process_exit` says and why."""
    try:
        main()
    except SystemExit as ended:
        from relay.process_exit import leave

        leave(ended.code if isinstance(ended.code, int) else ExitStatus.OK)


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run one command. Whatever goes wrong ends as an exit status and a line or two on stderr."""
    try:
        app(arguments, prog_name="relay")
    # What may come out of a command, and what the shell is told:
    #
    #     Typer's own end       its status; 141 where that is 1 and nobody reads the output
    #     Ctrl-C                130, as shells say it
    #     ours, or several      the status of the cause, and a line with what to do
    #     anything else         1, and where in the code, without the text of the exception
    except SystemExit as ended:  # Typer's own; 1 is what it says of a reader that left
        if ended.code != ExitStatus.BUG or not output_closed():
            raise
        status = ExitStatus.OUTPUT_CLOSED
    except KeyboardInterrupt:
        status = ExitStatus.INTERRUPTED
    except BaseExceptionGroup as group:
        status = report(group)
    except RelayError as error:
        status = report(error)
    except Exception as error:  # noqa: BLE001 - the last place that can keep records out of stderr
        status = report(error)
    else:
        status = ExitStatus.OK
    raise SystemExit(int(status))


# In the order in which `relay --help` shows them.
_COMMANDS: tuple[ModuleType, ...] = (
    demo,
    run,
    status,
    top,
    tap,
    check,
    emit,
    send,
    map_events,
    dlq,
    segments,
    users,
    sandbox,
    schema,
)
for _command in _COMMANDS:
    _command.register(app)
