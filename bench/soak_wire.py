"""Posts millions of requests over the fast wire and watches what the process holds.

    python -m bench.soak_wire [--requests 10000000] [--in-flight 64] [--tls]

Connections live for two seconds at most, one request in a thousand is cancelled, and 2 % of the
answers are failures, so that all that is made for a connection or an attempt is made and freed all
the time. Printed at every tenth: requests, memory (resident), descriptors, objects that the
collector knows, connections that were opened. It ends with status 1 when the last tenth holds
more than the second by a tenth of the memory, by more than `in flight` descriptors, or by a
tenth of the objects.
"""

import argparse
import asyncio
import gc
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import uvloop

from bench.machine import BenchError, described
from bench.sink import null_log, running
from relay.model import Request
from relay.stream.sending.connection import Connection
from relay.stream.sending.open_wire import open_wire
from relay.stream.sending.token import StaticToken
from relay.stream.sending.wire import Wire, WirePolicy

BODY = b"x" * 600
CANCEL_EVERY = 1_000
MAX_AGE_S = 2.0
PARTS = 10
Held = tuple[float, int, int]


async def soak(requests: int, in_flight: int, ca: Path | None) -> list[Held]:
    """What the process held at each tenth."""
    held: list[Held] = []
    opened = _count_connections()
    faults = "429:0.01,500:0.01"
    async with running(log=null_log(), faults=faults, tls=ca) as sink:
        token = StaticToken("api:token")
        policy = WirePolicy(base_url=sink.url, connection_max_age_s=MAX_AGE_S, ca_file=ca)
        wire = open_wire(policy, token)
        for part in range(PARTS):
            began = time.perf_counter()
            await _post(wire, requests // PARTS, in_flight)
            rate = requests // PARTS / (time.perf_counter() - began)
            gc.collect()
            held.append((_resident_mb(), _descriptors(), len(gc.get_objects())))
            print(
                f"{(part + 1) * (requests // PARTS):>12,} requests {rate:8,.0f}/s"
                f"{held[-1][0]:8.1f} MB {held[-1][1]:5} descriptors {held[-1][2]:8,} objects"
                f"{opened():9,} connections",
                flush=True,
            )
        await wire.close()
    return held


async def _post(wire: Wire, count: int, in_flight: int) -> None:
    left = iter(range(count))
    loop = asyncio.get_running_loop()

    async def sender() -> None:
        for number in left:
            request = Request("POST", f"/v1/users/{number % 5_000}", BODY)
            if number % CANCEL_EVERY == 0:
                sending = loop.create_task(wire.send(request))
                loop.call_later(0.0002, sending.cancel)
                await asyncio.wait([sending])
            elif (answer := await wire.send(request)).no_answer is not None:
                raise BenchError(f"no answer: {answer.detail}")

    async with asyncio.TaskGroup() as group:
        for _ in range(in_flight):
            group.create_task(sender())


def _count_connections() -> Callable[[], int]:
    """Counts what is opened from now on."""
    opened = 0
    made = Connection.connection_made

    def counting(self: Connection, transport: asyncio.BaseTransport) -> None:
        nonlocal opened
        opened += 1
        made(self, transport)

    Connection.connection_made = counting  # type: ignore[method-assign]
    return lambda: opened


def _descriptors() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def _resident_mb() -> float:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise BenchError("/proc does not tell the memory of a process here")


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="bench.soak_wire", description=__doc__.splitlines()[0])
    parser.add_argument("--requests", type=int, default=10_000_000)
    parser.add_argument("--in-flight", type=int, default=64)
    parser.add_argument("--tls", action="store_true")
    given = parser.parse_args()
    print(described("httptools", "uvloop"))
    with tempfile.TemporaryDirectory() as home:
        ca = Path(home) / "ca.pem" if given.tls else None
        held = uvloop.run(soak(given.requests, given.in_flight, ca))
    (memory, descriptors, objects), last = held[1], held[-1]
    grown = (
        last[0] > memory * 1.1,
        last[1] > descriptors + given.in_flight,
        last[2] > objects * 1.1,
    )
    sys.exit(1 if any(grown) else 0)


if __name__ == "__main__":
    try:
        main()
    except BenchError as error:
        sys.exit(f"bench.soak_wire: {error}")
