"""The `relay` command: arguments in, exit status out. One file per command, registered here.

What a command imports at the top of its file is paid for by every start of `relay`: anything
heavy (Kafka, HTTP, the pipeline) is imported inside the function that runs it.
"""

import traceback
from collections.abc import Iterator, Sequence
from types import ModuleType
from typing import Annotated, NoReturn

import typer

from relay import __version__
from relay.cli import check, demo, dlq, emit, run, sandbox, schema, segments, status, users
from relay.cli import map as map_events
from relay.errors import ExitStatus, RelayError

app = typer.Typer(
    name="relay",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,  # help is text: the same on a terminal, in a pipe and in the docs
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
        typer.Option("--version", callback=_version, is_eager=True, help="Print the version."),
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
    except KeyboardInterrupt:
        status = ExitStatus.INTERRUPTED
    except BaseExceptionGroup as group:
        status = _report(group)
    except RelayError as error:
        status = _report(error)
    except Exception as error:  # noqa: BLE001 - the last place that can keep records out of stderr
        status = _report(error)
    else:
        status = ExitStatus.OK
    raise SystemExit(int(status))


def _report(error: BaseException) -> ExitStatus:
    """Say what ended the command. Of several causes that a task group gathered, the gravest."""
    leaves = list(_leaves(error))
    defects = [leaf for leaf in leaves if not isinstance(leaf, RelayError | KeyboardInterrupt)]
    if defects:
        return _report_defect(defects[0])
    known = [leaf for leaf in leaves if isinstance(leaf, RelayError)]
    for line in dict.fromkeys(line for leaf in known for line in str(leaf).splitlines()):
        typer.echo(f"relay: {line}", err=True)
    return known[0].exit_status if known else ExitStatus.INTERRUPTED


def _report_defect(error: BaseException) -> ExitStatus:
    """Where it happened, without the text of the exception: it may quote a record."""
    for frame in traceback.extract_tb(error.__traceback__):
        typer.echo(f"  {frame.filename}:{frame.lineno} in {frame.name}", err=True)
    kind = type(error).__qualname__
    typer.echo(f"relay: unexpected {kind} at the place above: a defect, please report it", err=True)
    return ExitStatus.BUG


def _leaves(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from _leaves(inner)
    else:
        yield error


# In the order in which `relay --help` shows them.
_COMMANDS: tuple[ModuleType, ...] = (
    demo,
    run,
    status,
    check,
    emit,
    map_events,
    dlq,
    segments,
    users,
    sandbox,
    schema,
)
for _command in _COMMANDS:
    _command.register(app)
