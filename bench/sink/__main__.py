"""Prints the sink's own ceiling, or serves until it is interrupted."""

import argparse
import asyncio
import contextlib
import sys
from pathlib import Path

from bench.machine import BenchError, described
from bench.sink import ceiling, null_log, running

BODY = b"x" * 566 + b"bench:0000001:000000001:1700000000000000"


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="bench.sink", description=__doc__)
    parser.add_argument("--serve", action="store_true", help="serve instead of measuring")
    parser.add_argument("--address", default="127.0.0.1:8099")
    parser.add_argument("--log", type=Path)
    parser.add_argument("--latency-ms", type=float, default=0)
    parser.add_argument("--faults", default="", help="429:0.02,500:0.01")
    given = parser.parse_args()
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_serve(given) if given.serve else _measure())


async def _measure() -> None:
    print(described())
    for connections in (1, 64, 256):
        rate, cpu_us = await ceiling(connections, BODY, null_log())
        print(f"sink, {connections:4} connections: {rate:9,.0f} requests/s, {cpu_us:5.1f} µs CPU")


async def _serve(given: argparse.Namespace) -> None:
    async with running(
        log=given.log,
        latency_ms=given.latency_ms,
        faults=given.faults,
        address=given.address,
    ) as sink:
        print(f"listening on {sink.url}", flush=True)
        await sink.process.wait()


if __name__ == "__main__":
    try:
        main()
    except BenchError as error:
        sys.exit(f"bench.sink: {error}")
