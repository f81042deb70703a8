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
