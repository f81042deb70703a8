"""What the process does before anything else: descriptors and signals.

Imported before everything heavy, so that from its first moments on `relay run` ends with a status
that docs/OPERATIONS.md names, whatever signal comes.
"""

import gc
import os
import signal
import sys
import threading
from collections.abc import Sequence
from types import FrameType

from relay.process_exit import leave

_STOP = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT)
_HARMLESS = (signal.SIGUSR1, signal.SIGUSR2)


def prepare(arguments: Sequence[str]) -> None:
    """Make the process fit to run the command of `arguments` (as `sys.argv`)."""
    _open_standard_descriptors()
    # httpx would import a command line of its own, and with it click, rich and pygments: a tenth
    # of the memory of `relay segments sync`. Without that module it goes without.
    sys.modules["httpx._main"] = None  # type: ignore[assignment]
    if arguments[1:2] == ["run"]:
        # What is imported stays: to look through it again and again is a fifth of the start. It
        # goes on in `relay.cli.run`, when everything is there.
        gc.disable()
        # Signals of the first moments, before the loop has handlers of its own:
        #
        #     SIGUSR1, SIGUSR2   nothing: their default would end the process
        #     those that stop    the end, with status 0: nothing was read, so nothing is lost
        #     SIGHUP             as these, unless `nohup` has it ignored
        for number in _HARMLESS:
            signal.signal(number, signal.SIG_IGN)
        for number in stop_signals():
            signal.signal(number, _nothing_to_drain)
    # Whoever started this process may hold signals back until they are heard here.
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOP)


def stop_signals() -> list[signal.Signals]:
    """The signals that ask for a drain. `nohup` has SIGHUP ignored, and so it stays."""
    ignored = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    return [number for number in _STOP if not (ignored and number == signal.SIGHUP)]


def follow_supervisor() -> None:
    """Drain when the supervisor is gone: standard input is a pipe that ends with it.

    Its end is taken for SIGHUP, which says the same of a terminal.
    """
    signal.signal(signal.SIGHUP, _nothing_to_drain)
    threading.Thread(target=_hang_up_at_end, name="supervisor", daemon=True).start()


def _hang_up_at_end() -> None:
    while os.read(0, 1):  # nobody writes; it returns when the last writer is gone
        pass
    os.kill(os.getpid(), signal.SIGHUP)


def _nothing_to_drain(_number: int, _frame: FrameType | None) -> None:
    """The handler until the event loop has its own: nothing was read or sent, so stop at once."""
    leave(0)


def _open_standard_descriptors() -> None:
    """Open what of 0, 1 and 2 is closed, on the null device.

    Otherwise the next file or socket of ours gets the number, and is written to as if it were
    standard output; libuv aborts.
    """
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number, which is this one
    for name, descriptor in (("stdout", 1), ("stderr", 2)):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(descriptor, "w", encoding="utf-8"))
