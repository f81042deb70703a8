"""Starts and stops the fast wire many times, and counts exit statuses that were not ours.

    python -m bench.wire_exits [--starts 500] [--others 60]

Each start is a process that opens the wire, keeps 32 requests in flight for a moment and ends
with status 7. How it ends is what differs:

    loop    uvloop | asyncio
    wire    closed       attempts cancelled, the wire closed
            cut short    the wire closed under 32 attempts in flight
            left         nothing cancelled, nothing closed
    end     return       the way a Python program ends: the interpreter is torn down
            leave        relay.process_exit.leave: flush, then os._exit

`uvloop, closed` gets `--starts` of each end, every other way `--others`.
134 is SIGABRT; 124 stands for a process that did not end within 20 seconds.
"""

import argparse
import asyncio
import itertools
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator

import uvloop

from bench.machine import described
from bench.sink import null_log, running
from relay.model import Request
from relay.process_exit import leave
from relay.stream.sending.open_wire import open_wire
from relay.stream.sending.token import StaticToken
from relay.stream.sending.wire import Wire, WirePolicy

OURS = 7
TOO_LONG_S = 20
ANSWERS = 300  # before a start comes to its end, with 32 more on their way
MOST = ("uvloop", "closed")


async def child(url: str, wire_end: str) -> None:
    """What happens in each started process, up to its end."""
    wire = open_wire(WirePolicy(base_url=url), StaticToken("api:token"))
    request = Request("POST", "/v1/datamarts/1/user_activities", b"x" * 600)

    answers = 0
    busy = asyncio.Event()

    async def keep_sending(wire: Wire) -> None:
        nonlocal answers
        while (await wire.send(request)).no_answer is None:
            answers += 1
            if answers == ANSWERS:
                busy.set()

    tasks = [asyncio.ensure_future(keep_sending(wire)) for _ in range(32)]  # noqa: TID251
    await busy.wait()
    if wire_end == "closed":
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
    if wire_end in ("closed", "cut short"):
        await wire.close()


def child_main(url: str, loop: str, wire_end: str, process_end: str) -> None:
    """Runs one start and ends it in the way that was asked for."""
    (uvloop.run if loop == "uvloop" else asyncio.run)(child(url, wire_end))
    sys.stdout.write("settled")
    if process_end == "leave":
        leave(OURS)
    sys.exit(OURS)


async def one_start(url: str, way: tuple[str, ...]) -> str:
    """The status of one process, and whether it had said everything."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bench.wire_exits", "--child", url, *way),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        env={**os.environ, "PYTHONUNBUFFERED": ""},  # noqa: TID251 - output must be left to flush
    )
    try:
        async with asyncio.timeout(TOO_LONG_S):
            output, _ = await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()
        return "124"
    status = process.returncode or 0
    shown = str(status if status >= 0 else 128 - status)
    return shown if output == b"settled" else f"{shown} with output lost"


async def soak(starts: int, others: int) -> bool:
    """All ways to end; whether every start ended with our status."""
    ways = list(
        itertools.product(
            ("uvloop", "asyncio"), ("closed", "cut short", "left"), ("return", "leave")
        )
    )
    clean = True
    async with running(log=null_log()) as sink:
        for way in ways:
            count = starts if way[:2] == MOST else others
            began = time.perf_counter()
            statuses: Counter[str] = Counter()
            left = iter(range(count))

            async def starter(
                way: tuple[str, ...] = way,
                left: Iterator[int] = left,
                statuses: Counter[str] = statuses,
            ) -> None:
                for _ in left:
                    statuses[await one_start(sink.url, way)] += 1

            async with asyncio.TaskGroup() as group:
                for _ in range(os.cpu_count() or 1):
                    group.create_task(starter())
            foreign = {status: n for status, n in statuses.items() if status != str(OURS)}
            clean = clean and not foreign
            print(
                f"{', '.join(way):30} {count:4} starts, {sum(foreign.values()):3} not ours"
                f"  {foreign or ''}  ({time.perf_counter() - began:.0f} s)",
                flush=True,
            )
    return clean


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="bench.wire_exits", description=__doc__.splitlines()[0])
    parser.add_argument(
        "--starts", type=int, default=500, help="of a wire that is closed under uvloop"
    )
    parser.add_argument("--others", type=int, default=60, help="of every other way")
    parser.add_argument("--child", nargs=4, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        child_main(*given.child)
    print(described("httptools", "uvloop"))
    sys.exit(0 if asyncio.run(soak(given.starts, given.others)) else 1)


if __name__ == "__main__":
    main()
