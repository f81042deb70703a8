"""The end of the process, as the status that was decided and nothing else.

The fast wire's client runs a thread that takes the interpreter's lock to hand back results.
When the interpreter is being torn down meanwhile, the process can die of SIGABRT: status 134
instead of ours, after everything was settled. So the process ends itself without a teardown,
after the output is flushed. docs/adr/0002-fast-wire.md has the measurements.
"""

import contextlib
import os
import sys
from typing import NoReturn


def leave(status: int) -> NoReturn:
    """Flushes what was written and ends the process at once.

    Call it last, when the event loop has ended: `atexit` handlers, `finally` blocks further up
    and daemon threads get no turn any more.
    """
    for stream in (sys.stdout, sys.stderr):
        # A reader that went away (a closed pipe) must not change the status; a stream can be None.
        with contextlib.suppress(OSError, ValueError, AttributeError):
            stream.flush()
    os._exit(status)
