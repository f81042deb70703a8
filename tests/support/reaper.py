"""Server processes of a test: ended by it, or killed by a process beside it when it dies."""

import shutil
import signal
import subprocess
import sys
from pathlib import Path

# Reads "+pid" and "-pid"; at the end of its input kills what is left and removes the directory.
_SCRIPT = """\
import os, shutil, signal, sys
signal.signal(signal.SIGINT, signal.SIG_IGN)
pids = set()
for line in sys.stdin:
    (pids.add if line[0] == "+" else pids.discard)(int(line[1:]))
for pid in pids:
    try: os.kill(pid, signal.SIGKILL)
    except ProcessLookupError: pass
shutil.rmtree(sys.argv[1], ignore_errors=True)
"""
_END_S = 30


class Reaper:
    """Looks after processes that keep their files in `directory`, until `close`."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._process = subprocess.Popen(
            [sys.executable, "-c", _SCRIPT, directory],
            stdin=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def began(self, process: subprocess.Popen[bytes]) -> None:
        """Look after this one, too."""
        self._tell(f"+{process.pid}")

    def end(self, process: subprocess.Popen[bytes], how: signal.Signals) -> None:
        """End it by this signal, or by SIGKILL if that takes too long."""
        process.send_signal(how)
        try:
            process.wait(timeout=_END_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(timeout=_END_S)
        self._tell(f"-{process.pid}")

    def close(self) -> None:
        """Kill what is left, and remove the directory."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(timeout=_END_S)
        shutil.rmtree(self._directory, ignore_errors=True)

    def _tell(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()
