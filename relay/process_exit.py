"""The end of the process, as the status that was decided and nothing else.

Relay's own parts leave nothing behind; libraries may. A client of S3 has threads that take the
interpreter's lock to hand back results, and a process can die of SIGABRT when that meets the
teardown: status 134 instead of ours. A name look-up that hangs in a thread holds up the teardown
for as long as it hangs. And a second SIGTERM means now. So the process ends itself without a
teardown, after everything is settled and the output is flushed.
"""

import contextlib
import os
import sys
import threading
from collections.abc import Callable
from typing import NoReturn, TextIO

from relay.telemetry.lines import flush_lines

LAST_WORDS_S = 1.0
"""How long the end waits for whoever reads the log, and again for standard error."""


def leave(status: int) -> NoReturn:
    """Flushes what was written and ends the process at once.

    Call it last, when the event loop has ended: `atexit` handlers, `finally` blocks further up
    and daemon threads get no turn any more.
    """
    flush_lines(LAST_WORDS_S)
    # What a command prints has a reader who may take their time. `relay run` prints nothing.
    _flush(sys.stdout)
    at_most(LAST_WORDS_S, lambda: _flush(sys.stderr))
    os._exit(status)


def at_most(seconds: float, action: Callable[[], None]) -> None:
    """Runs `action`, which may wait for a reader that has stopped; after `seconds` goes on without.

    What is left of it then goes on in a thread that ends with the process.
    """
    thread = threading.Thread(target=action, name="last words", daemon=True)
    thread.start()
    thread.join(seconds)


def _flush(stream: TextIO | None) -> None:
    # A reader that went away (a closed pipe) must not change the status; a stream can be None.
    with contextlib.suppress(OSError, ValueError, AttributeError):
        stream.flush()  # type: ignore[union-attr]
