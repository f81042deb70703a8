"""What ended a command → lines on standard error, and the exit status."""

import select
import traceback
from collections.abc import Iterator

import typer

from relay.errors import ExitStatus, RelayError
from relay.process_exit import LAST_WORDS_S, at_most


def report(error: BaseException) -> ExitStatus:
    """Say what ended the command. Of several causes that a task group gathered, the gravest.

    Standard error may be a pipe that nobody reads: the status does not wait for long.
    """
    leaves = list(_leaves(error))
    if any(isinstance(leaf, BrokenPipeError) for leaf in leaves) and output_closed():
        return ExitStatus.OUTPUT_CLOSED
    defects = [leaf for leaf in leaves if not isinstance(leaf, RelayError | KeyboardInterrupt)]
    known = [leaf for leaf in leaves if isinstance(leaf, RelayError)]
    if defects:
        lines, status = list(_about_defect(defects[0])), ExitStatus.BUG
    else:
        said = dict.fromkeys(line for leaf in known for line in str(leaf).splitlines())
        lines = [f"relay: {line}" for line in said]
        status = known[0].exit_status if known else ExitStatus.INTERRUPTED
    if lines:
        at_most(LAST_WORDS_S, lambda: typer.echo("\n".join(lines), err=True))
    return status


def output_closed() -> bool:
    """Whether whoever read standard output or standard error has left, as `head` does."""
    poll = select.poll()
    for descriptor in (1, 2):
        poll.register(descriptor, 0)  # errors are told without being asked for
    return any(events & select.POLLERR for _, events in poll.poll(0))


def _about_defect(error: BaseException) -> Iterator[str]:
    """Where it happened, without the text of the exception: it may quote a record."""
    for frame in traceback.extract_tb(error.__traceback__):
        yield f"  {frame.filename}:{frame.lineno} in {frame.name}"
    kind = type(error).__qualname__
    yield f"relay: unexpected {kind} at the place above: a defect, please report it"


def _leaves(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from _leaves(inner)
    else:
        yield error
