"""Instructions of marked sections of a process, counted by valgrind, whatever else is running.

    counted(["-m", "bench.mapping_cost", "--sections"])   # {"section": instructions per call}

What it prints is not read; it wraps what is to be counted in `with section(name, n):`. Outside of
sections nothing is counted, so that imports take seconds and not a minute.
Needs `valgrind` with its header files, and a C compiler.
"""

import contextlib
import ctypes
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from bench.machine import ROOT, BenchError

_LIBRARY = "BENCH_MARKS"
_SOURCE = """
#include <valgrind/callgrind.h>
void begin(void) { CALLGRIND_START_INSTRUMENTATION; CALLGRIND_ZERO_STATS; }
void end(const char *name) { CALLGRIND_DUMP_STATS_AT(name); CALLGRIND_STOP_INSTRUMENTATION; }
"""
_NAMED = re.compile(r"^desc: Trigger: Client Request: (.+)\|(\d+)$", re.MULTILINE)
_TOTAL = re.compile(r"^(?:totals|summary): (\d+)", re.MULTILINE)


@contextlib.contextmanager
def section(name: str, calls: int) -> Iterator[None]:
    """What runs inside is `calls` calls of what is counted."""
    marks = ctypes.CDLL(os.environ[_LIBRARY])  # noqa: TID251 - of the bench's own process
    marks.begin()
    yield
    marks.end(f"{name}|{calls}".encode())


def counted(arguments: Sequence[str], given: str = "", cwd: Path = ROOT) -> dict[str, float]:
    """Instructions of one call in each section that Python runs with these arguments.

    `given` is its standard input.

    Raises:
        BenchError: valgrind or the compiler is missing, or the run failed.
    """
    for needed in ("valgrind", "cc"):
        if shutil.which(needed) is None:
            raise BenchError(f"{needed} is not installed")
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        here = Path(folder)
        (here / "marks.c").write_text(_SOURCE, encoding="utf-8")
        build = ["cc", "-shared", "-fPIC", "-o", str(here / "marks.so"), str(here / "marks.c")]
        command = [
            "valgrind", "--tool=callgrind", "--instr-atstart=no",
            f"--callgrind-out-file={here / 'out'}", sys.executable, *arguments,
        ]  # fmt: skip
        environ = {
            **os.environ,  # noqa: TID251 - handed on
            _LIBRARY: str(here / "marks.so"),
            "PYTHONHASHSEED": "0",
        }
        for step in (build, command):
            done = subprocess.run(
                step, cwd=cwd, env=environ, input=given, capture_output=True, text=True, check=False
            )
            if done.returncode:
                raise BenchError(done.stderr[-2000:])
        return dict(_sections(here))


def _sections(folder: Path) -> Iterator[tuple[str, float]]:
    for path in folder.glob("out.*"):
        text = path.read_text(encoding="utf-8", errors="replace")
        named, totals = _NAMED.search(text), _TOTAL.findall(text)
        if named is not None:
            yield named[1], int(totals[-1]) / int(named[2])
